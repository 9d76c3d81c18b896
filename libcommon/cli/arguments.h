// A command line turned into values by a flag table. Accepts --name VALUE, --name=VALUE, -x VALUE,
// -xVALUE, bundled switches (-qv), single-dash long names of old scripts (-type), `_` for `-`, and
// `--` before words that are no flags. Every mistake is one UsageError. Touches no stream.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/flag.h"
#include "os/output.h"

namespace slim {

// Values are asked for by a flag's name in the table; asking for a flag that the command does not
// have, or for another kind than the table says, is a bug (assert).
class Arguments {
 public:
  const Tool& tool() const { return *tool_; }
  // The command that the first word chose, or the tool's first.
  const Command& command() const { return *command_; }

  // Given, under whatever spelling; for kBoolean: given and true.
  bool Has(std::string_view flag) const;
  // The last value given, or the fallback. Choices are texts.
  std::string Text(std::string_view flag, std::string_view fallback = "") const;
  int64_t Integer(std::string_view flag, int64_t fallback) const;
  double Real(std::string_view flag, double fallback) const;
  uint64_t Size(std::string_view flag, uint64_t fallback) const;
  // Every value, in order: of kList and of repeatable flags.
  const std::vector<std::string>& All(std::string_view flag) const;
  // As the user spelled it the last time ("--save_path"), for messages; empty when not given.
  std::string SpelledAs(std::string_view flag) const;

  const std::vector<std::string>& operands() const { return operands_; }
  // The operand at `index`, or a usage error that names it.
  Result<std::string> OperandAt(size_t index) const;
  // The value of a flag that this use needs, or a usage error that names it.
  Result<std::string> Required(std::string_view flag) const;

  // --force and --no-fsync of writers.
  OutputOptions output_options() const;

 private:
  friend class ArgumentParser;
  struct Given {
    const Flag* flag = nullptr;
    std::string spelling;
    std::vector<std::string> values;
  };
  const Flag& Declared(std::string_view name) const;
  const std::string* Last(std::string_view name) const;

  const Tool* tool_ = nullptr;
  const Command* command_ = nullptr;
  std::map<std::string_view, Given> given_;
  std::vector<std::string> operands_;
};

// `words` are argv without argv[0]. Operands are not counted when --help or --version is given.
// `tool` must outlive the result.
Result<Arguments> ParseArguments(const Tool& tool, const std::vector<std::string>& words);

}  // namespace slim

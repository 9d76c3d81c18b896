// One flag table a tool: the rows from which parsing and --help derive, and against which a test
// holds the man page. Flags that every tool has, and those of every writer, are declared here once.
// Knows no tool.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slim {

enum class FlagKind : uint8_t {
  kSwitch,   // takes no value
  kBoolean,  // a switch that also takes =true and =false, or True and False as the next word
  kText,     // any text
  kInteger,  // within minimum and maximum
  kReal,     // a finite number
  kSize,     // bytes: 4GiB, 500MB, 1024
  kChoice,   // one word of `choices`
  kList      // one or more texts, up to the next flag
};

struct Flag {
  std::string_view name = "";  // without dashes: "max-memory"
  FlagKind kind = FlagKind::kSwitch;
  std::string_view help = "";   // one line, lower-case first letter, no full stop
  std::string_view value = "";  // how --help writes the value: "SIZE"; a choice shows its words
  std::string_view group = "Options";
  char letter = '\0';             // of the short form, as in -o
  std::string_view choices = "";  // of kChoice, separated by spaces
  // Other spellings, without dashes, separated by spaces. `_` and `-` need no alias: they are the
  // same to a word that no flag is spelled exactly as.
  std::string_view aliases = "";
  bool hidden = false;          // old spellings: accepted, not in --help nor the man page
  bool repeatable = false;      // values accumulate; else a second one is an error
  bool value_optional = false;  // the value is only taken as --name=VALUE
  int64_t minimum = std::numeric_limits<int64_t>::min();
  int64_t maximum = std::numeric_limits<int64_t>::max();
};

// What stands on a command line without a dash.
struct Operand {
  std::string_view name = "";  // as --help writes it: "MODEL"
  std::string_view help = "";
  bool required = true;   // false: the tool asks for it itself, or does without
  bool repeated = false;  // takes all that is left
};

// The tool itself (empty name) or what an optional first word makes of it.
struct Command {
  std::string_view name = "";
  std::string_view synopsis = "";  // after the name: "MODEL -o OUT [--type TYPE] [options]"
  std::string_view summary = "";   // one line
  std::span<const Flag> flags = {};
  std::span<const Operand> operands = {};
  bool writes = false;  // has the flags of writers, WriterFlags()
};

struct Tool {
  std::string_view name = "";     // "slim-verify"
  std::string_view summary = "";  // one line, as in the man page's NAME
  // The first is the tool without a word; its name is empty.
  std::span<const Command> commands = {};
};

// --help --version --json --quiet --verbose --threads --color --completion
std::span<const Flag> CommonFlags();
// --output --force --dry-run --no-fsync --max-memory --part-size
std::span<const Flag> WriterFlags();

// Every flag of a command: its own, then those of writers, then the common ones. A command that
// declares one of those names itself takes its place.
std::vector<const Flag*> FlagsOf(const Command& command);
// The words of a choice.
std::vector<std::string> ChoicesOf(const Flag& flag);

// The text of --help for one command of the tool: usage, operands, flags by group in the order of
// the table, at most 100 columns.
std::string HelpText(const Tool& tool, const Command& command);

}  // namespace slim

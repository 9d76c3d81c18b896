#include "cli/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/text.h"

namespace slim {
namespace {

template <class T>
std::optional<T> ParseNumber(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> ParseBoolean(std::string_view text) {
  const std::string word = ToLower(text);
  if (word == "true" || word == "yes" || word == "on" || word == "1") return true;
  if (word == "false" || word == "no" || word == "off" || word == "0") return false;
  return std::nullopt;
}

bool LooksLikeFlag(std::string_view word) {
  return word.size() > 1 && word[0] == '-' && !ParseNumber<double>(word);
}

std::vector<std::string> Names(const Flag& flag) {
  std::vector<std::string> names = {std::string(flag.name)};
  if (flag.aliases.empty()) return names;
  for (std::string& alias : Split(flag.aliases, ' ')) names.push_back(std::move(alias));
  return names;
}

std::string Dashed(std::string_view name) {
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return dashed;
}

Error BadValue(std::string_view spelling, std::string_view value, std::string_view wanted) {
  return UsageError(fmt::format("invalid value {} for '{}'", Quote(value), spelling),
                    fmt::format("expected {}", wanted));
}

std::string IntegerRange(const Flag& flag) {
  const bool from = flag.minimum != std::numeric_limits<int64_t>::min();
  const bool to = flag.maximum != std::numeric_limits<int64_t>::max();
  if (from && to) return fmt::format("an integer from {} to {}", flag.minimum, flag.maximum);
  if (from) return fmt::format("an integer of at least {}", flag.minimum);
  if (to) return fmt::format("an integer of at most {}", flag.maximum);
  return "an integer";
}

Status CheckValue(const Flag& flag, std::string_view spelling, const std::string& value) {
  switch (flag.kind) {
    case FlagKind::kInteger: {
      const auto number = ParseNumber<int64_t>(value);
      if (number && *number >= flag.minimum && *number <= flag.maximum) return {};
      return BadValue(spelling, value, IntegerRange(flag));
    }
    case FlagKind::kReal: {
      const auto number = ParseNumber<double>(value);
      if (number && std::isfinite(*number)) return {};
      return BadValue(spelling, value, "a number");
    }
    case FlagKind::kSize:
      if (ParseSize(value)) return {};
      return BadValue(spelling, value, "a size such as 4GiB, 500MB or 1024");
    case FlagKind::kChoice: {
      const std::vector<std::string> choices = ChoicesOf(flag);
      if (std::find(choices.begin(), choices.end(), value) != choices.end()) return {};
      return BadValue(spelling, value, "one of " + Join(choices, ", "));
    }
    case FlagKind::kBoolean:
      if (ParseBoolean(value)) return {};
      return BadValue(spelling, value, "true or false");
    case FlagKind::kSwitch:
    case FlagKind::kText:
    case FlagKind::kList:
      break;
  }
  return {};
}

}  // namespace

class ArgumentParser {
 public:
  ArgumentParser(const Tool& tool, const std::vector<std::string>& words) : words_(words) {
    assert(!tool.commands.empty() && tool.commands[0].name.empty());
    arguments_.tool_ = &tool;
    arguments_.command_ = &tool.commands[0];
    if (words_.empty()) return;
    for (const Command& command : tool.commands.subspan(1)) {
      if (command.name != words_[0]) continue;
      arguments_.command_ = &command;
      next_ = 1;
    }
  }

  Result<Arguments> Parse() {
    flags_ = FlagsOf(*arguments_.command_);
    bool only_operands = false;
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (only_operands || word.size() < 2 || word[0] != '-') {
        arguments_.operands_.push_back(word);
      } else if (word == "--") {
        only_operands = true;
      } else if (word.starts_with("--")) {
        SLIM_TRY(ParseLong(word, 2));
      } else {
        SLIM_TRY(ParseSingleDash(word));
      }
      // What follows does not matter to somebody who asks for help.
      if (arguments_.Has("help") || arguments_.Has("version") || arguments_.Has("completion"))
        return std::move(arguments_);
    }
    SLIM_TRY(CheckOperands());
    return std::move(arguments_);
  }

 private:
  const Flag* Find(std::string_view name) const {
    for (const Flag* flag : flags_) {
      for (const std::string& known : Names(*flag)) {
        if (known == name) return flag;
      }
    }
    for (const Flag* flag : flags_) {
      for (const std::string& known : Names(*flag)) {
        if (Dashed(known) == Dashed(name)) return flag;
      }
    }
    return nullptr;
  }

  const Flag* FindLetter(char letter) const {
    for (const Flag* flag : flags_) {
      if (flag->letter == letter) return flag;
    }
    return nullptr;
  }

  // True when the word is one of this command's flags, not a value that begins with a dash.
  bool IsFlag(std::string_view word) const {
    if (word == "--") return true;
    if (word.size() < 2 || word[0] != '-') return false;
    const std::string_view name =
        word.substr(word[1] == '-' ? 2 : 1, word.find('=') - (word[1] == '-' ? 2 : 1));
    return Find(name) != nullptr || (word.size() == 2 && FindLetter(word[1]) != nullptr);
  }

  Error Unknown(std::string_view spelling) const {
    std::vector<std::string> names;
    for (const Flag* flag : flags_) {
      if (!flag->hidden) names.emplace_back(flag->name);
    }
    const std::string_view bare =
        spelling.substr(std::min(spelling.find_first_not_of('-'), spelling.size()));
    const std::string nearest = bare.size() < 2 ? "" : NearestSpelling(bare, names);
    return UsageError(fmt::format("unknown option {}", Quote(spelling)),
                      nearest.empty() ? "" : fmt::format("did you mean '--{}'?", nearest));
  }

  Status ParseLong(const std::string& word, size_t dashes) {
    const size_t equals = word.find('=');
    const std::string spelling = word.substr(0, equals);
    if (spelling.size() == dashes) return Unknown(word);
    const Flag* flag = Find(std::string_view(spelling).substr(dashes));
    if (flag == nullptr) return Unknown(spelling);
    if (equals == std::string::npos) return Take(*flag, spelling, std::nullopt);
    return Take(*flag, spelling, word.substr(equals + 1));
  }

  // -type w8a8, -type=w8a8, -n 5, -n5, -qv
  Status ParseSingleDash(const std::string& word) {
    const std::string_view name = std::string_view(word).substr(1, word.find('=') - 1);
    if (name.size() > 1 && Find(name) != nullptr) return ParseLong(word, 1);
    for (size_t i = 1; i < word.size(); ++i) {
      const Flag* flag = FindLetter(word[i]);
      // A word that does not even begin with a letter we know is rather a long name misspelled.
      if (flag == nullptr)
        return Unknown(i == 1 && !name.empty() ? word.substr(0, name.size() + 1) : word);
      const std::string spelling = fmt::format("-{}", word[i]);
      const bool takes_value = flag->kind != FlagKind::kSwitch && flag->kind != FlagKind::kBoolean;
      if (!takes_value) {
        SLIM_TRY(Take(*flag, spelling, std::nullopt));
        continue;
      }
      std::string rest = word.substr(i + 1);
      if (rest.empty()) return Take(*flag, spelling, std::nullopt);
      if (rest[0] == '=') rest.erase(0, 1);
      return Take(*flag, spelling, rest);
    }
    return {};
  }

  Status Take(const Flag& flag, const std::string& spelling, std::optional<std::string> value) {
    Arguments::Given& given = arguments_.given_[flag.name];
    const bool accumulates = flag.repeatable || flag.kind == FlagKind::kList ||
                             flag.kind == FlagKind::kSwitch || flag.kind == FlagKind::kBoolean;
    if (given.flag != nullptr && !accumulates) {
      return UsageError(fmt::format("option '{}' is given twice", spelling));
    }
    given.flag = &flag;
    given.spelling = spelling;
    std::vector<std::string> values;
    if (value) {
      if (flag.kind == FlagKind::kSwitch)
        return UsageError(fmt::format("option '{}' takes no value", spelling));
      values.push_back(std::move(*value));
    }
    SLIM_TRY(TakeWords(flag, spelling, values));
    for (const std::string& each : values) {
      SLIM_TRY(CheckValue(flag, spelling, each));
      given.values.push_back(each);
    }
    return {};
  }

  // The words after a flag that are its values.
  Status TakeWords(const Flag& flag, const std::string& spelling,
                   std::vector<std::string>& values) {
    const auto has_next = [&] { return next_ < words_.size(); };
    switch (flag.kind) {
      case FlagKind::kSwitch:
        return {};
      case FlagKind::kBoolean:
        // Only words that cannot be meant otherwise; 0 and 1 could be operands.
        if (values.empty() && has_next() &&
            (ToLower(words_[next_]) == "true" || ToLower(words_[next_]) == "false")) {
          values.push_back(words_[next_++]);
        }
        return {};
      case FlagKind::kList:
        while (has_next() && words_[next_] != "--" && !LooksLikeFlag(words_[next_])) {
          values.push_back(words_[next_++]);
        }
        break;
      default:
        if (values.empty() && !flag.value_optional && has_next() && !IsFlag(words_[next_])) {
          values.push_back(words_[next_++]);
        }
    }
    if (!values.empty() || flag.value_optional) return {};
    return UsageError(fmt::format("option '{}' needs a value", spelling));
  }

  Status CheckOperands() const {
    const auto operands = arguments_.command_->operands;
    const bool unlimited = !operands.empty() && operands.back().repeated;
    if (arguments_.operands_.size() > operands.size() && !unlimited) {
      return UsageError(
          fmt::format("unexpected argument {}", Quote(arguments_.operands_[operands.size()])));
    }
    for (size_t i = arguments_.operands_.size(); i < operands.size(); ++i) {
      if (operands[i].required) return arguments_.OperandAt(i).error();
    }
    return {};
  }

  const std::vector<std::string>& words_;
  size_t next_ = 0;
  std::vector<const Flag*> flags_;
  Arguments arguments_;
};

const Flag& Arguments::Declared(std::string_view name) const {
  for (const Flag* flag : FlagsOf(*command_)) {
    if (flag->name == name) return *flag;
  }
  assert(false && "the command has no such flag");
  return CommonFlags()[0];
}

const std::string* Arguments::Last(std::string_view name) const {
  const auto found = given_.find(name);
  if (found == given_.end() || found->second.values.empty()) return nullptr;
  return &found->second.values.back();
}

bool Arguments::Has(std::string_view flag) const {
  const Flag& declared = Declared(flag);
  if (!given_.contains(flag)) return false;
  const std::string* value = Last(flag);
  return declared.kind != FlagKind::kBoolean || value == nullptr || *ParseBoolean(*value);
}

std::string Arguments::Text(std::string_view flag, std::string_view fallback) const {
  [[maybe_unused]] const FlagKind kind = Declared(flag).kind;
  assert(kind == FlagKind::kText || kind == FlagKind::kChoice);
  const std::string* value = Last(flag);
  return value == nullptr ? std::string(fallback) : *value;
}

int64_t Arguments::Integer(std::string_view flag, int64_t fallback) const {
  assert(Declared(flag).kind == FlagKind::kInteger);
  const std::string* value = Last(flag);
  return value == nullptr ? fallback : *ParseNumber<int64_t>(*value);
}

double Arguments::Real(std::string_view flag, double fallback) const {
  assert(Declared(flag).kind == FlagKind::kReal);
  const std::string* value = Last(flag);
  return value == nullptr ? fallback : *ParseNumber<double>(*value);
}

uint64_t Arguments::Size(std::string_view flag, uint64_t fallback) const {
  assert(Declared(flag).kind == FlagKind::kSize);
  const std::string* value = Last(flag);
  return value == nullptr ? fallback : *ParseSize(*value);
}

const std::vector<std::string>& Arguments::All(std::string_view flag) const {
  static const std::vector<std::string> kNone;
  [[maybe_unused]] const Flag& declared = Declared(flag);
  assert(declared.kind == FlagKind::kList || declared.repeatable);
  const auto found = given_.find(flag);
  return found == given_.end() ? kNone : found->second.values;
}

std::string Arguments::SpelledAs(std::string_view flag) const {
  Declared(flag);
  const auto found = given_.find(flag);
  return found == given_.end() ? "" : found->second.spelling;
}

Result<std::string> Arguments::OperandAt(size_t index) const {
  if (index < operands_.size()) return operands_[index];
  const auto declared = command_->operands;
  assert(!declared.empty());
  const Operand& operand = declared[std::min(index, declared.size() - 1)];
  return UsageError(fmt::format("{} is missing", operand.name), std::string(operand.help));
}

Result<std::string> Arguments::Required(std::string_view flag) const {
  const std::string* value = Last(flag);
  if (value != nullptr) return *value;
  return UsageError(fmt::format("option '--{}' is missing", flag),
                    std::string(Declared(flag).help));
}

OutputOptions Arguments::output_options() const {
  OutputOptions options;
  options.force = Has("force");
  options.fsync = !Has("no-fsync");
  return options;
}

Result<Arguments> ParseArguments(const Tool& tool, const std::vector<std::string>& words) {
  return ArgumentParser(tool, words).Parse();
}

}  // namespace slim

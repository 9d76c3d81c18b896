#include "cli/flag.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace slim {
namespace {

constexpr size_t kColumns = 100;
constexpr size_t kHelpColumn = 30;

constexpr Flag kCommon[] = {
    {.name = "help", .help = "print this help and exit", .group = "Common options", .letter = 'h'},
    {.name = "version", .help = "print the version and exit", .group = "Common options"},
    {.name = "json", .help = "print the result as JSON", .group = "Common options"},
    {.name = "quiet",
     .help = "print no notes, warnings or progress",
     .group = "Common options",
     .letter = 'q'},
    {.name = "verbose",
     .help = "print more notes",
     .group = "Common options",
     .letter = 'v',
     .repeatable = true},
    {.name = "threads",
     .kind = FlagKind::kInteger,
     .help = "threads to work with (default: the processors there are); the result is the same",
     .value = "N",
     .group = "Common options",
     .minimum = 1,
     .maximum = 1024},
    {.name = "color",
     .kind = FlagKind::kChoice,
     .help = "colours: auto means on terminals, unless NO_COLOR is set",
     .group = "Common options",
     .choices = "auto always never"},
    {.name = "completion",
     .kind = FlagKind::kChoice,
     .help = "print the completion script for this shell and exit",
     .group = "Common options",
     .choices = "bash zsh fish"},
};

constexpr Flag kWriter[] = {
    {.name = "output",
     .kind = FlagKind::kText,
     .help = "what to write; it appears complete or not at all",
     .value = "PATH",
     .group = "Output",
     .letter = 'o'},
    {.name = "force", .help = "replace an output that exists", .group = "Output"},
    {.name = "dry-run", .help = "say what would be done and write nothing", .group = "Output"},
    {.name = "no-fsync",
     .help = "do not wait for the disk: faster, still atomic, not durable",
     .group = "Output"},
    {.name = "max-memory",
     .kind = FlagKind::kSize,
     .help = "memory to work within, such as 8GiB",
     .value = "SIZE",
     .group = "Output"},
    {.name = "part-size",
     .kind = FlagKind::kSize,
     .help = "split the weights into files of at most this size",
     .value = "SIZE",
     .group = "Output"},
};

std::string ValueText(const Flag& flag) {
  std::string value(flag.value);
  if (value.empty() && flag.kind == FlagKind::kChoice) value = Join(ChoicesOf(flag), "|");
  if (flag.kind == FlagKind::kList) value += "...";
  if (value.empty()) return "";
  return flag.value_optional ? fmt::format("[={}]", value) : " " + value;
}

// Words of `text` in lines of at most `width` columns.
std::vector<std::string> Wrap(std::string_view text, size_t width) {
  std::vector<std::string> lines(1);
  for (const std::string& word : Split(text, ' ')) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width)
      lines.emplace_back();
    if (!lines.back().empty()) lines.back() += ' ';
    lines.back() += word;
  }
  return lines;
}

void AppendEntry(std::string& out, const std::string& left, std::string_view help) {
  out += "  " + left;
  size_t column = 2 + left.size();
  for (const std::string& line : Wrap(help, kColumns - kHelpColumn)) {
    if (column + 2 > kHelpColumn) {
      out += '\n';
      column = 0;
    }
    out.append(kHelpColumn - column, ' ');
    out += line;
    out += '\n';
    column = 0;
  }
}

std::string FlagText(const Flag& flag) {
  const std::string letter =
      flag.letter == '\0' ? std::string(4, ' ') : fmt::format("-{}, ", flag.letter);
  return fmt::format("{}--{}{}", letter, flag.name, ValueText(flag));
}

std::string Invocation(const Tool& tool, const Command& command) {
  return fmt::format("{}{}{} {}", tool.name, command.name.empty() ? "" : " ", command.name,
                     command.synopsis);
}

}  // namespace

std::span<const Flag> CommonFlags() { return kCommon; }
std::span<const Flag> WriterFlags() { return kWriter; }

std::vector<const Flag*> FlagsOf(const Command& command) {
  std::vector<const Flag*> flags;
  for (const Flag& flag : command.flags) flags.push_back(&flag);
  const auto add = [&](std::span<const Flag> more) {
    for (const Flag& flag : more) {
      const bool own = std::any_of(command.flags.begin(), command.flags.end(),
                                   [&](const Flag& other) { return other.name == flag.name; });
      if (!own) flags.push_back(&flag);
    }
  };
  if (command.writes) add(kWriter);
  add(kCommon);
  return flags;
}

std::vector<std::string> ChoicesOf(const Flag& flag) { return Split(flag.choices, ' '); }

std::string HelpText(const Tool& tool, const Command& command) {
  std::string out = fmt::format("Usage: {}\n\n{}\n", Invocation(tool, command), command.summary);
  if (!command.operands.empty()) {
    out += "\nArguments:\n";
    for (const Operand& operand : command.operands) {
      AppendEntry(out, fmt::format("{}{}", operand.name, operand.repeated ? "..." : ""),
                  operand.help);
    }
  }
  const std::vector<const Flag*> flags = FlagsOf(command);
  std::vector<std::string_view> groups;
  for (const Flag* flag : flags) {
    if (!flag->hidden && std::find(groups.begin(), groups.end(), flag->group) == groups.end()) {
      groups.push_back(flag->group);
    }
  }
  for (const std::string_view group : groups) {
    out += fmt::format("\n{}:\n", group);
    for (const Flag* flag : flags) {
      if (flag->group == group && !flag->hidden) AppendEntry(out, FlagText(*flag), flag->help);
    }
  }
  if (command.name.empty() && tool.commands.size() > 1) {
    out += "\nCommands:\n";
    for (const Command& other : tool.commands.subspan(1)) {
      AppendEntry(out, std::string(other.name), other.summary);
    }
    out += fmt::format("\n{} COMMAND --help says more about one.\n", tool.name);
  }
  return out;
}

}  // namespace slim

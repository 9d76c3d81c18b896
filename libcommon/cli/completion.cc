#include "cli/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace slim {
namespace {

std::vector<const Flag*> VisibleFlags(const Command& command) {
  std::vector<const Flag*> flags = FlagsOf(command);
  std::erase_if(flags, [](const Flag* flag) { return flag->hidden; });
  return flags;
}

// Whether the word after the flag is its value.
bool TakesWord(const Flag& flag) {
  return flag.kind != FlagKind::kSwitch && flag.kind != FlagKind::kBoolean && !flag.value_optional;
}

std::vector<std::string> CommandNames(const Tool& tool) {
  std::vector<std::string> names;
  for (const Command& command : tool.commands) {
    if (!command.name.empty()) names.emplace_back(command.name);
  }
  return names;
}

// "slim-quant" -> "_slim_quant"
std::string FunctionName(const Tool& tool) {
  std::string name = "_" + std::string(tool.name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// For single quotes of every shell here.
std::string SingleQuoted(std::string_view text, Shell shell) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += shell == Shell::kFish ? "\\'" : "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string BashWords(const Command& command) {
  std::string words;
  for (const Flag* flag : VisibleFlags(command)) {
    if (flag->letter != '\0') words += fmt::format("-{} ", flag->letter);
    words += fmt::format("--{} ", flag->name);
  }
  words.pop_back();
  return words;
}

std::string BashCommand(const Command& command, const std::vector<std::string>& commands) {
  std::string out = fmt::format("    {})\n      case $previous in\n",
                                command.name.empty() ? "''" : std::string(command.name));
  std::string with_files;
  for (const Flag* flag : VisibleFlags(command)) {
    if (!TakesWord(*flag)) continue;
    std::string pattern = fmt::format("--{}", flag->name);
    if (flag->letter != '\0') pattern += fmt::format("|-{}", flag->letter);
    if (flag->choices.empty()) {
      with_files += (with_files.empty() ? "" : "|") + pattern;
    } else {
      out += fmt::format("        {}) words='{}' ;;\n", pattern, flag->choices);
    }
  }
  if (!with_files.empty()) out += fmt::format("        {}) return ;;\n", with_files);
  out += fmt::format("        *) words='{}'", BashWords(command));
  // Commands stand in the first place only; there, files complete besides them.
  if (command.name.empty() && !commands.empty()) {
    out += fmt::format("; [ \"$COMP_CWORD\" -eq 1 ] && words+=' {}'", Join(commands, " "));
  }
  return out + " ;;\n      esac\n      ;;\n";
}

// readline takes "=" for a word of its own: --type=w8 is three words. Where nothing matches,
// `complete -o default` offers files.
std::string BashScript(const Tool& tool) {
  const std::vector<std::string> commands = CommandNames(tool);
  std::string out = fmt::format("{}() {{\n", FunctionName(tool));
  out +=
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command='' "
      "words=''\n"
      "  if [ \"$current\" = = ]; then\n"
      "    current=''\n"
      "  elif [ \"$previous\" = = ]; then\n"
      "    previous=${COMP_WORDS[COMP_CWORD-2]}\n"
      "  fi\n";
  if (!commands.empty()) {
    out += fmt::format(
        "  if [ \"$COMP_CWORD\" -gt 1 ]; then\n"
        "    case ${{COMP_WORDS[1]}} in {}) command=${{COMP_WORDS[1]}} ;; esac\n  fi\n",
        Join(commands, "|"));
  }
  out += "  case $command in\n";
  for (const Command& command : tool.commands) out += BashCommand(command, commands);
  out += "  esac\n  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n}\n";
  return out + fmt::format("complete -o default -o bashdefault -F {} {}\n", FunctionName(tool),
                           tool.name);
}

// In an _arguments specification, inside brackets or between colons.
std::string ZshText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string ZshFlag(const Flag& flag) {
  std::string action;
  if (TakesWord(flag)) {
    action = fmt::format(":{}:", ZshText(flag.value.empty() ? flag.name : flag.value));
    action += flag.choices.empty() ? "_files" : fmt::format("({})", flag.choices);
  }
  const std::string star = flag.repeatable ? "*" : "";
  const std::string help = fmt::format("[{}]", ZshText(flag.help));
  const auto spec = [&](const std::string& name, std::string_view exclude) {
    return "    " +
           SingleQuoted(fmt::format("{}{}{}{}{}", exclude, star, name, help, action), Shell::kZsh) +
           " \\\n";
  };
  if (flag.letter == '\0') return spec(fmt::format("--{}", flag.name), "");
  const std::string both = flag.repeatable ? "" : fmt::format("(-{} --{})", flag.letter, flag.name);
  return spec(fmt::format("-{}", flag.letter), both) + spec(fmt::format("--{}", flag.name), both);
}

std::string ZshCommand(const Command& command, bool chosen, const std::string& first) {
  std::string out = "  _arguments -s -S : \\\n";
  for (const Flag* flag : VisibleFlags(command)) out += ZshFlag(*flag);
  if (chosen) out += "    '1:command:' \\\n";
  if (!first.empty()) out += "    " + SingleQuoted(first, Shell::kZsh) + " \\\n";
  return out + "    '*:file:_files'\n";
}

std::string ZshScript(const Tool& tool) {
  const std::vector<std::string> commands = CommandNames(tool);
  std::string out = fmt::format("#compdef {}\n", tool.name);
  for (const Command& command : tool.commands) {
    if (command.name.empty()) continue;
    out += fmt::format("if [[ $words[2] == {} ]] && (( CURRENT > 2 )); then\n", command.name) +
           ZshCommand(command, true, "") + "  return\nfi\n";
  }
  const std::string first =
      commands.empty() ? ""
                       : fmt::format("1:first:{{ _files; compadd - {} }}", Join(commands, " "));
  return out + ZshCommand(tool.commands.front(), false, first);
}

std::string FishFlag(const Tool& tool, const Flag& flag, const std::string& condition) {
  std::string out = fmt::format("complete -c {}{} -l {}", tool.name, condition, flag.name);
  if (flag.letter != '\0') out += fmt::format(" -s {}", flag.letter);
  if (TakesWord(flag)) {
    out += flag.choices.empty() ? " -r" : " -x -a " + SingleQuoted(flag.choices, Shell::kFish);
  }
  return out + " -d " + SingleQuoted(flag.help, Shell::kFish) + "\n";
}

std::string FishScript(const Tool& tool) {
  const std::vector<std::string> commands = CommandNames(tool);
  const std::string seen = "__fish_seen_subcommand_from " + Join(commands, " ");
  std::string out;
  for (const Command& command : tool.commands) {
    std::string condition;
    if (!command.name.empty()) {
      out += fmt::format("complete -c {} -n __fish_use_subcommand -a {} -d {}\n", tool.name,
                         command.name, SingleQuoted(command.summary, Shell::kFish));
      condition = fmt::format(" -n '__fish_seen_subcommand_from {}'", command.name);
    } else if (!commands.empty()) {
      condition = " -n 'not " + seen + "'";
    }
    for (const Flag* flag : VisibleFlags(command)) out += FishFlag(tool, *flag, condition);
  }
  return out;
}

}  // namespace

std::string CompletionScript(const Tool& tool, Shell shell) {
  switch (shell) {
    case Shell::kBash:
      return BashScript(tool);
    case Shell::kZsh:
      return ZshScript(tool);
    case Shell::kFish:
      return FishScript(tool);
  }
  return "";
}

}  // namespace slim

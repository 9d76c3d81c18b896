// Any words as a command line: each byte 0 or newline ends a word. Values that are accepted can be
// asked for.
#include "base/text.h"
#include "cli/arguments.h"
#include "fuzz.h"

namespace slim {
namespace {

constexpr Flag kFlags[] = {
    {.name = "type", .kind = FlagKind::kChoice, .help = "type", .letter = 't', .choices = "a b"},
    {.name = "names", .kind = FlagKind::kList, .help = "names", .value = "GLOB"},
    {.name = "count", .kind = FlagKind::kInteger, .help = "count", .value = "N", .letter = 'n'},
    {.name = "alpha", .kind = FlagKind::kReal, .help = "alpha", .value = "X"},
    {.name = "trust", .kind = FlagKind::kBoolean, .help = "trust"},
    {.name = "list", .kind = FlagKind::kText, .help = "list", .value_optional = true},
};
constexpr Operand kOperands[] = {{.name = "IN", .help = "in", .required = false, .repeated = true}};
constexpr Command kCommands[] = {
    {.name = "", .flags = kFlags, .operands = kOperands, .writes = true},
    {.name = "merge", .operands = kOperands},
};
constexpr Tool kTool = {.name = "slim-fuzz", .commands = kCommands};

void AskForEverything(const Arguments& arguments) {
  for (const Flag* flag : FlagsOf(arguments.command())) {
    arguments.Has(flag->name);
    arguments.SpelledAs(flag->name);
    if (flag->kind == FlagKind::kSize) arguments.Size(flag->name, 0);
    if (flag->kind == FlagKind::kInteger) arguments.Integer(flag->name, 0);
    if (flag->kind == FlagKind::kReal) arguments.Real(flag->name, 0);
    if (flag->kind == FlagKind::kText || flag->kind == FlagKind::kChoice) {
      arguments.Text(flag->name);
    }
  }
}

}  // namespace
}  // namespace slim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> words;
  for (const std::string& line : slim::Split(slim::InputText(data, size), '\n')) {
    for (std::string& word : slim::Split(line, '\0')) words.push_back(std::move(word));
  }
  const auto arguments = slim::ParseArguments(slim::kTool, words);
  if (arguments.ok()) {
    slim::AskForEverything(*arguments);
  } else {
    FUZZ_CHECK(arguments.error().code == slim::ErrorCode::kUsage);
    FUZZ_CHECK(arguments.error().ToString().find('\n') == std::string::npos);
  }
  return 0;
}

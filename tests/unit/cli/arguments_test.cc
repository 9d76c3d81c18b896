#include "cli/arguments.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

constexpr Flag kFlags[] = {
    {.name = "type",
     .kind = FlagKind::kChoice,
     .help = "quantization type",
     .letter = 't',
     .choices = "w8a8 w8a16",
     .aliases = "quant_type"},
    {.name = "model-path", .kind = FlagKind::kText, .help = "model", .value = "DIR"},
    {.name = "disable-names", .kind = FlagKind::kList, .help = "keep float", .value = "GLOB"},
    {.name = "disable_names",
     .kind = FlagKind::kList,
     .help = "old meaning",
     .value = "GLOB",
     .hidden = true},
    {.name = "tokens",
     .kind = FlagKind::kInteger,
     .help = "how many",
     .value = "N",
     .letter = 'n',
     .minimum = 0},
    {.name = "alpha", .kind = FlagKind::kReal, .help = "strength", .value = "X"},
    {.name = "prompt",
     .kind = FlagKind::kText,
     .help = "text",
     .value = "TEXT",
     .letter = 'p',
     .repeatable = true},
    {.name = "list", .kind = FlagKind::kText, .help = "list", .value = "X", .value_optional = true},
    {.name = "trust_remote_code", .kind = FlagKind::kBoolean, .help = "ignored", .hidden = true},
};
constexpr Operand kOperands[] = {{.name = "MODEL", .help = "a checkpoint", .required = false}};
constexpr Operand kMergeOperands[] = {{.name = "OUT", .help = "the result"},
                                      {.name = "PART", .help = "a part", .repeated = true}};
constexpr Command kCommands[] = {
    {.name = "",
     .synopsis = "MODEL -o OUT",
     .summary = "Makes.",
     .flags = kFlags,
     .operands = kOperands,
     .writes = true},
    {.name = "merge", .synopsis = "OUT PART...", .summary = "Joins.", .operands = kMergeOperands},
};
constexpr Tool kTool = {.name = "slim-test", .summary = "tests", .commands = kCommands};

Arguments Parse(const std::vector<std::string>& words) {
  auto arguments = ParseArguments(kTool, words);
  EXPECT_TRUE(arguments.ok()) << arguments.error().ToString();
  return std::move(arguments).value();
}

std::string ErrorOf(const std::vector<std::string>& words) {
  auto arguments = ParseArguments(kTool, words);
  if (arguments.ok()) return "";
  EXPECT_EQ(arguments.error().code, ErrorCode::kUsage);
  return arguments.error().ToString();
}

TEST(ParseArguments, TakesValuesInEveryForm) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--type", "w8a16"},
                                             {"--type=w8a16"},
                                             {"-t", "w8a16"},
                                             {"-tw8a16"},
                                             {"-t=w8a16"},
                                             {"-type", "w8a16"},
                                             {"-type=w8a16"},
                                             {"--quant_type", "w8a16"},
                                             {"--quant-type", "w8a16"}}) {
    EXPECT_EQ(Parse(words).Text("type"), "w8a16") << words[0];
  }
  EXPECT_EQ(Parse({"--model_path", "m"}).Text("model-path"), "m");
  EXPECT_EQ(Parse({"--model_path", "m"}).SpelledAs("model-path"), "--model_path");
  EXPECT_EQ(Parse({}).Text("type", "w8a8"), "w8a8");
  EXPECT_EQ(Parse({"--model-path="}).Text("model-path", "x"), "");
}

TEST(ParseArguments, NumbersAndSizes) {
  EXPECT_EQ(Parse({"-n5"}).Integer("tokens", 1), 5);
  EXPECT_EQ(Parse({}).Integer("tokens", 7), 7);
  EXPECT_EQ(Parse({"--alpha", "-1.5"}).Real("alpha", 0), -1.5);
  EXPECT_EQ(Parse({"--max-memory", "2GiB"}).Size("max-memory", 0), 2ULL << 30);
  EXPECT_EQ(ErrorOf({"-n", "-3"}),
            "invalid value '-3' for '-n'; expected an integer of at least 0");
  EXPECT_EQ(ErrorOf({"--tokens=5x"}),
            "invalid value '5x' for '--tokens'; expected an integer of at least 0");
  EXPECT_EQ(ErrorOf({"--threads", "0"}),
            "invalid value '0' for '--threads'; expected an integer from 1 to 1024");
  EXPECT_EQ(ErrorOf({"--alpha", "nan"}), "invalid value 'nan' for '--alpha'; expected a number");
  EXPECT_EQ(ErrorOf({"--part-size", "4 parsecs"}),
            "invalid value '4 parsecs' for '--part-size'; expected a size such as 4GiB, 500MB or "
            "1024");
  EXPECT_EQ(ErrorOf({"--type", "w9"}),
            "invalid value 'w9' for '--type'; expected one of w8a8, w8a16");
}

TEST(ParseArguments, ListsEndAtTheNextFlag) {
  const Arguments arguments =
      Parse({"--disable-names", "a", "b*", "-q", "model", "--disable-names", "c"});
  EXPECT_EQ(arguments.All("disable-names"), (std::vector<std::string>{"a", "b*", "c"}));
  EXPECT_EQ(arguments.operands(), std::vector<std::string>{"model"});
  EXPECT_EQ(Parse({"--disable-names", "a", "--", "model"}).operands(),
            std::vector<std::string>{"model"});
  EXPECT_EQ(ErrorOf({"--disable-names", "-q"}), "option '--disable-names' needs a value");
}

TEST(ParseArguments, AnExactSpellingWinsOverUnderscoreForDash) {
  const Arguments arguments = Parse({"--disable_names", "a"});
  EXPECT_TRUE(arguments.Has("disable_names"));
  EXPECT_FALSE(arguments.Has("disable-names"));
}

TEST(ParseArguments, RepeatedFlags) {
  EXPECT_EQ(Parse({"-p", "a", "-p", "b"}).All("prompt"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ErrorOf({"-o", "a", "--output", "b"}), "option '--output' is given twice");
  EXPECT_TRUE(Parse({"--force", "--force"}).Has("force"));
}

TEST(ParseArguments, OptionalValuesOnlyWithEquals) {
  const Arguments bare = Parse({"--list", "model"});
  EXPECT_TRUE(bare.Has("list"));
  EXPECT_EQ(bare.Text("list", "all"), "all");
  EXPECT_EQ(bare.operands(), std::vector<std::string>{"model"});
  EXPECT_EQ(Parse({"--list=x"}).Text("list"), "x");
}

TEST(ParseArguments, BooleansOfOldScripts) {
  EXPECT_TRUE(Parse({"--trust_remote_code", "True"}).Has("trust_remote_code"));
  EXPECT_FALSE(Parse({"--trust_remote_code", "false"}).Has("trust_remote_code"));
  EXPECT_FALSE(Parse({"--trust_remote_code=0"}).Has("trust_remote_code"));
  const Arguments arguments = Parse({"--trust_remote_code", "model"});
  EXPECT_TRUE(arguments.Has("trust_remote_code"));
  EXPECT_EQ(arguments.operands(), std::vector<std::string>{"model"});
  EXPECT_NE(ErrorOf({"--trust_remote_code=perhaps"}), "");
}

TEST(ParseArguments, ValuesThatBeginWithADash) {
  EXPECT_EQ(Parse({"-p", "-what is it"}).All("prompt"), std::vector<std::string>{"-what is it"});
  EXPECT_EQ(Parse({"-o", "-"}).Text("output"), "-");
  EXPECT_EQ(Parse({"--", "-model"}).operands(), std::vector<std::string>{"-model"});
  EXPECT_EQ(Parse({"-"}).operands(), std::vector<std::string>{"-"});
  EXPECT_EQ(ErrorOf({"-o", "--force"}), "option '-o' needs a value");
  EXPECT_EQ(ErrorOf({"--output"}), "option '--output' needs a value");
}

TEST(ParseArguments, BundledSwitches) {
  const Arguments arguments = Parse({"-vqn3"});
  EXPECT_TRUE(arguments.Has("verbose"));
  EXPECT_TRUE(arguments.Has("quiet"));
  EXPECT_EQ(arguments.Integer("tokens", 0), 3);
}

TEST(ParseArguments, NamesWhatWasProbablyMeant) {
  EXPECT_EQ(ErrorOf({"--ouptut", "x"}), "unknown option '--ouptut'; did you mean '--output'?");
  EXPECT_EQ(ErrorOf({"--model_pth=x"}),
            "unknown option '--model_pth'; did you mean '--model-path'?");
  EXPECT_EQ(ErrorOf({"-xtype"}), "unknown option '-xtype'; did you mean '--type'?");
  EXPECT_EQ(ErrorOf({"-x"}), "unknown option '-x'");
  EXPECT_EQ(ErrorOf({"-qx"}), "unknown option '-qx'");
  EXPECT_EQ(ErrorOf({"--zzzzzzzz"}), "unknown option '--zzzzzzzz'");
  EXPECT_EQ(ErrorOf({"--="}), "unknown option '--='");
  EXPECT_EQ(ErrorOf({"-=x"}), "unknown option '-=x'");
  EXPECT_EQ(ErrorOf({"---"}), "unknown option '---'");
  EXPECT_EQ(ErrorOf({"--\x1b[2J"}), "unknown option '--\\x1b[2J'");
  EXPECT_EQ(ErrorOf({"--force=yes"}), "option '--force' takes no value");
}

TEST(ParseArguments, Operands) {
  EXPECT_EQ(ErrorOf({"a", "b"}), "unexpected argument 'b'");
  EXPECT_EQ(ErrorOf({"merge", "out"}), "PART is missing; a part");
  EXPECT_EQ(Parse({}).OperandAt(0).error().ToString(), "MODEL is missing; a checkpoint");
  EXPECT_EQ(Parse({"m"}).OperandAt(0).value(), "m");
  EXPECT_EQ(Parse({"m"}).Required("output").error().ToString(),
            "option '--output' is missing; what to write; it appears complete or not at all");
}

TEST(ParseArguments, CommandsAreAFirstWord) {
  const Arguments merge = Parse({"merge", "out", "a", "b"});
  EXPECT_EQ(merge.command().name, "merge");
  EXPECT_EQ(merge.operands(), (std::vector<std::string>{"out", "a", "b"}));
  EXPECT_EQ(ErrorOf({"merge", "--type", "w8a8", "o", "p"}), "unknown option '--type'");
  EXPECT_EQ(Parse({"-q", "merge"}).command().name, "");
}

TEST(ParseArguments, HelpNeedsNothingElse) {
  EXPECT_TRUE(Parse({"merge", "--help", "--bogus"}).Has("help"));
  EXPECT_TRUE(Parse({"--version", "a", "b"}).Has("version"));
}

TEST(HelpText, ShowsEveryFlagThatIsNotHidden) {
  const std::string help = HelpText(kTool, kCommands[0]);
  for (const Flag* flag : FlagsOf(kCommands[0])) {
    const bool shown = help.find("--" + std::string(flag->name)) != std::string::npos;
    EXPECT_EQ(shown, !flag->hidden) << flag->name;
  }
  EXPECT_TRUE(help.starts_with("Usage: slim-test MODEL -o OUT\n\nMakes.\n")) << help;
  EXPECT_NE(help.find("  -t, --type w8a8|w8a16       quantization type\n"), std::string::npos);
  EXPECT_NE(help.find("      --disable-names GLOB...\n                              keep float\n"),
            std::string::npos)
      << help;
  EXPECT_NE(help.find("--list[=X]"), std::string::npos);
  EXPECT_NE(help.find("\nCommands:\n  merge                       Joins.\n"), std::string::npos);
}

TEST(HelpText, StaysWithinItsColumns) {
  for (const Command& command : kCommands) {
    std::string help = HelpText(kTool, command);
    size_t begin = 0;
    for (size_t end = 0; (end = help.find('\n', begin)) != std::string::npos; begin = end + 1) {
      EXPECT_LE(end - begin, 100U) << help.substr(begin, end - begin);
    }
  }
}

}  // namespace
}  // namespace slim

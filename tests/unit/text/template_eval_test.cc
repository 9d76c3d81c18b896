// Expressions where our engine and jinja2 3.1.6 once differed, found by comparing some 70 000
// random expressions and templates; the expected texts are jinja2's.
#include <gtest/gtest.h>

#include "text/template_support.h"

namespace slim {
namespace {

using test::Text;

TEST(TemplateEval, SplitKeepsTheSpaceOfTheUnsplitEnd) {
  EXPECT_EQ(Text("{{ ' a b  c  '.split(none, 1) }}"), "['a', 'b  c  ']");
  EXPECT_EQ(Text("{{ ' a b  c  '.rsplit(none, 1) }}"), "[' a b', 'c']");
  EXPECT_EQ(Text("{{ ' a b  c  '.split(none, 0) }}"), "['a b  c  ']");
}

TEST(TemplateEval, SlicesOfRanges) {
  EXPECT_EQ(Text("{{ range(7)[::2] }} {{ range(7)[::-1] }} {{ range(2, 0)[::-1] }}"),
            "range(0, 7, 2) range(6, -1, -1) range(1, 1, -1)");
}

TEST(TemplateEval, TextMarkedAsSafe) {
  EXPECT_EQ(Text("{{ '<'|safe + '<' }} {{ '<' + '<'|safe }} {{ '<'|safe ~ '<' }}"),
            "<&lt; &lt;< <<");
  EXPECT_EQ(Text("{{ [('a<'|e)[1], ('a b'|safe).split()] }}"),
            "[Markup('&'), [Markup('a'), Markup('b')]]");
}

TEST(TemplateEval, MapTakesTheDefaultAtEveryStep) {
  EXPECT_EQ(Text("{{ [{}]|map(attribute='a.b', default={'b': 1})|list }}"), "[1]");
}

TEST(TemplateEval, TruncateReturnsShortValuesAsTheyAre) {
  EXPECT_EQ(Text("{{ [1, 2]|truncate(5) }} {{ nothing|truncate is undefined }}"), "[1, 2] True");
}

TEST(TemplateEval, IndentTakesTextOnly) {
  EXPECT_EQ(Text("{{ 1|indent }}"), "TPL-type: line 1: indent takes text, not int");
}

TEST(TemplateEval, TrueDivisionOfLargeIntegers) {
  EXPECT_EQ(Text("{{ 1 / 9007199254740993 }}"), "1.1102230246251564e-16");
  EXPECT_EQ(Text("{{ 9007199254740993 < 9007199254740992.0 }}"), "False");
}

TEST(TemplateEval, GenerationIsAMacro) {
  EXPECT_EQ(Text("{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{{ varargs }}{% "
                 "endgeneration %}{{ x }}"),
            "2()1");
}

// Jinja reads the name behind a test as its argument.
TEST(TemplateEval, ATestTakesTheNextNameAsArgument) {
  EXPECT_EQ(Text("{{ 1 if x is defined else 2 }}"), "2");
  EXPECT_EQ(Text("{{ x is defined if true else 2 }}"),
            "TPL-syntax: line 1: expected '}}', found 'true'");
}

TEST(TemplateEval, UndefinedValues) {
  EXPECT_EQ(Text("[{{ x }}{{ d.x }}{{ x|default('d') }}{{ x|list }}{{ x|length }}{{ x == y }}{{ 1 "
                 "in x }}]",
                 R"({"d": {}})"),
            "[d[]0TrueFalse]");
  EXPECT_EQ(Text("\n{{ x.y }}"), "TPL-undefined: line 2: 'x' is undefined");
  EXPECT_EQ(Text("{{ d.x.y }}", R"({"d": {}})"),
            "TPL-undefined: line 1: a value of type dict has no member 'x'");
  EXPECT_EQ(Text("{{ f() }}"), "TPL-undefined: line 1: 'f' is undefined");
  EXPECT_EQ(Text("{{ x + 1 }}"), "TPL-undefined: line 1: 'x' is undefined");
}

TEST(TemplateEval, IntegersThatDoNotFit) {
  EXPECT_EQ(Text("{{ 9223372036854775807 + 1 }}"),
            "TPL-overflow: line 1: an integer result does not fit 64 bits");
  EXPECT_EQ(Text("{{ (-9223372036854775807 - 1) // -1 }}"),
            "TPL-overflow: line 1: an integer result does not fit 64 bits");
  EXPECT_EQ(Text("{{ (-9223372036854775807 - 1) % -1 }}"), "0");
  EXPECT_EQ(Text("{{ 2 ** 63 }}"), "TPL-overflow: line 1: an integer result does not fit 64 bits");
  EXPECT_EQ(Text("{{ 99999999999999999999 }}"),
            "TPL-overflow: line 1: an integer does not fit 64 bits");
  EXPECT_EQ(Text("{{ x }}", R"({"x": 18446744073709551615})").substr(0, 12), "TPL-overflow");
}

TEST(TemplateEval, SandboxKeepsValuesAsTheyAre) {
  EXPECT_EQ(Text("{{ l.append(1) }}", R"({"l": []})"),
            "TPL-undefined: line 1: method 'append' would change a list, which a template may not");
  EXPECT_EQ(Text("{{ d.update({}) }}", R"({"d": {}})").substr(0, 13), "TPL-undefined");
  EXPECT_EQ(Text("{{ ''.__class__ }}|{{ ''.__class__.__mro__ }}").substr(0, 13), "TPL-undefined");
  EXPECT_EQ(Text("{% set ns = namespace(_x=1) %}"),
            "TPL-sandbox: line 1: a namespace may not have a member '_x'");
  EXPECT_EQ(Text("{% set d = {} %}{% set d.x = 1 %}"),
            "TPL-type: line 1: 'd' is no namespace, so its 'x' cannot be set");
}

// Python's json.dumps writes DEL as an escape only when it keeps to ASCII.
TEST(TemplateEval, JsonOfControlCharacters) {
  EXPECT_EQ(Text("{{ '\\x7f\\x1f'|tojson }}"), "\"\x7f\\u001f\"");
}

TEST(TemplateEval, Time) {
  EXPECT_EQ(Text("{{ strftime_now('%d %b %Y') }}"), "26 Jul 2024");
  EXPECT_EQ(Text("{{ strftime_now('%f') }}"),
            "TPL-unsupported: line 1: the time conversion '%f' is not supported");
  const auto now = ChatTemplate::Compile("{{ strftime_now('%Y') }}");
  ASSERT_TRUE(now.ok());
  const auto year = now->Render(Json::Object());
  ASSERT_TRUE(year.ok());
  EXPECT_EQ(year->size(), 4U);  // the system's clock
}

}  // namespace
}  // namespace slim

// What a template is refused for, by name and line, and the limits on strangers' templates.
#include <gtest/gtest.h>

#include "text/template_support.h"

namespace slim {
namespace {

using test::Text;

std::string Repeat(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

// Enough for what the tests prepare, and soon spent.
constexpr TemplateLimits kFewSteps = {.max_steps = 100'000};

std::string RuleOf(std::string_view source, const TemplateLimits& limits = {}) {
  auto text = test::Render(source, R"({"x": 1, "l": [1, 2, 3]})", limits);
  return text.ok() ? "" : text.error().rule;
}

TEST(TemplateErrors, NameTheFeatureAndTheLine) {
  EXPECT_EQ(Text("a\nb\n{{ 'x'|wordwrap }}"),
            "TPL-unsupported: line 3: filter 'wordwrap' is not supported");
  EXPECT_EQ(Text("{{ 'x'|nosuch }}"), "TPL-syntax: line 1: there is no filter 'nosuch'");
  EXPECT_EQ(Text("{{ 1 is nosuch }}"), "TPL-syntax: line 1: there is no test 'nosuch'");
  EXPECT_EQ(Text("{% include 'x' %}"), "TPL-unsupported: line 1: tag 'include' is not supported");
  EXPECT_EQ(Text("{% for a in l recursive %}{% endfor %}"),
            "TPL-unsupported: line 1: a recursive for loop is not supported");
  EXPECT_EQ(Text("{{ '%s' % 1 }}"),
            "TPL-unsupported: line 1: formatting text with % is not supported");
  EXPECT_EQ(Text("{{ 'x'.format(1) }}"),
            "TPL-unsupported: line 1: method 'format' is not supported");
  EXPECT_EQ(Text("{{ cycler(1) }}"), "TPL-unsupported: line 1: 'cycler' is not supported");
  EXPECT_EQ(Text("\n\n{{ raise_exception('no\\nway') }}"),
            "TPL-raised: line 3: the template refuses: no\\x0away");
}

// As in Jinja, a filter that does not exist matters only where it is reached.
TEST(TemplateErrors, FiltersAreLookedUpWhenReached) {
  EXPECT_EQ(Text("{% if false %}{{ 'x'|wordwrap }}{% endif %}ok"), "ok");
}

TEST(TemplateErrors, Syntax) {
  EXPECT_EQ(Text("{{ a"), "TPL-syntax: line 1: the tag opened on line 1 has no end");
  EXPECT_EQ(Text("{# a"), "TPL-syntax: line 1: a comment has no end");
  EXPECT_EQ(Text("{% raw %} a"), "TPL-syntax: line 1: a raw block has no end");
  EXPECT_EQ(Text("{{ 'a }}"), "TPL-syntax: line 1: a string has no end");
  EXPECT_EQ(Text("{{ 'a\\"), "TPL-syntax: line 1: a string has no end");
  EXPECT_EQ(Text("{{ (1] }}"), "TPL-syntax: line 1: unexpected ']', expected ')'");
  EXPECT_EQ(Text("{{ a ? b }}"), "TPL-syntax: line 1: unexpected character '?'");
  EXPECT_EQ(Text("{% if x %}"),
            "TPL-syntax: line 1: the template ends where elif or else or endif is due");
  EXPECT_EQ(Text("{% if x %}\n{% endfor %}"),
            "TPL-syntax: line 2: unknown tag 'endfor', elif or else or endif is due");
  EXPECT_EQ(Text("{% nosuch %}"), "TPL-syntax: line 1: unknown tag 'nosuch'");
  EXPECT_EQ(Text("{% break %}"), "TPL-syntax: line 1: 'break' outside of a loop");
  EXPECT_EQ(Text("{% for a in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}"),
            "TPL-syntax: line 1: 'break' outside of a loop");
  EXPECT_EQ(Text("{{ }}"), "TPL-syntax: line 1: expected an expression, found the end of the tag");
  EXPECT_EQ(Text("{% set none = 1 %}"), "TPL-syntax: line 1: cannot assign to 'none'");
  EXPECT_EQ(Text("{{ f(a=1, 2) }}"), "TPL-syntax: line 1: arguments in the wrong order");
  EXPECT_EQ(Text("\xFF"), "TPL-syntax: the template is not UTF-8");
  EXPECT_EQ(Text("{{ '\\xZZ' }}"), "TPL-syntax: line 1: a \\x, \\u or \\U escape lacks digits");
}

TEST(TemplateErrors, Types) {
  EXPECT_EQ(Text("{{ 'a' + 1 }}"), "TPL-type: line 1: operator + does not take str and int");
  EXPECT_EQ(Text("{{ none|length }}"), "TPL-type: line 1: a value of type NoneType has no length");
  EXPECT_EQ(Text("{{ 1 < 'a' }}"), "TPL-type: line 1: values of type int and str have no order");
  EXPECT_EQ(Text("{{ 1 // 0 }}"), "TPL-value: line 1: division by zero");
  EXPECT_EQ(Text("{% for a in 5 %}{% endfor %}"),
            "TPL-type: line 1: a value of type int cannot be iterated");
  EXPECT_EQ(Text("{% set a, b = [1] %}"),
            "TPL-value: line 1: 1 values cannot be assigned to 2 names");
  EXPECT_EQ(Text("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}"),
            "TPL-type: line 1: macro 'm' takes at most 1 arguments, 2 given");
  EXPECT_EQ(Text("{% macro m(a) %}{% endmacro %}{{ m(b=2) }}"),
            "TPL-type: line 1: macro 'm' takes no argument named 'b'");
  EXPECT_EQ(Text("{{ {[]: 1} }}"), "TPL-type: line 1: a value of type list cannot be a key");
  EXPECT_EQ(Text("{{ x|tojson }}"), "TPL-type: line 1: a value of type Undefined has no JSON");
}

TEST(TemplateErrors, ContextMustBeAnObject) {
  const auto compiled = ChatTemplate::Compile("x");
  ASSERT_TRUE(compiled.ok());
  EXPECT_EQ(compiled->Render(Json::Array()).error().rule, "TPL-context");
}

TEST(TemplateLimits, Steps) {
  constexpr std::string_view kLoops =
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
  EXPECT_EQ(RuleOf(kLoops, kFewSteps), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ [1] * 9999999999 }}"), "TPL-limit");
  EXPECT_EQ(RuleOf("{% for a in l %}{{ a }}{% endfor %}", {.max_steps = 10}), "TPL-limit");
  // Doubling: what is made is charged, even when it is never printed.
  EXPECT_EQ(RuleOf("{% set ns = namespace(l=[1]) %}{% for a in range(60) %}{% set ns.l = ns.l + "
                   "ns.l %}{% endfor %}"),
            "TPL-limit");
  // Sharing makes a value small to hold and large to print or compare.
  constexpr std::string_view kShared =
      "{% set a = namespace(v=[1]) %}{% set b = namespace(v=[1]) %}{% for i in range(50) %}"
      "{% set a.v = [a.v, a.v] %}{% set b.v = [b.v, b.v] %}{% endfor %}";
  EXPECT_EQ(RuleOf(std::string(kShared) + "{{ a.v == b.v }}", kFewSteps), "TPL-limit");
  EXPECT_EQ(RuleOf(std::string(kShared) + "{{ a.v }}", kFewSteps), "TPL-limit");
  EXPECT_EQ(RuleOf(std::string(kShared) + "{{ a.v|tojson }}", kFewSteps), "TPL-limit");
}

TEST(TemplateLimits, Output) {
  EXPECT_EQ(RuleOf("{{ 'x' * 101 }}", {.max_output_bytes = 100}), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ 'x' * 100 }}", {.max_output_bytes = 100}), "");
  EXPECT_EQ(RuleOf("{% for a in range(101) %}x{% endfor %}", {.max_output_bytes = 100}),
            "TPL-limit");
  EXPECT_EQ(RuleOf("{{ 'x' * 9223372036854775807 }}"), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ 'aaaa'.replace('', 'x' * 600) }}", {.max_output_bytes = 1000}), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ 'x'.center(9999999999) }}"), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ 'x'|indent(9999999999) }}"), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ [1]|batch(9999999999, 0)|list }}", kFewSteps), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ [1]|slice(9999999999)|list }}", kFewSteps), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ range(100001) }}"), "TPL-overflow");
}

TEST(TemplateLimits, Depth) {
  EXPECT_EQ(RuleOf("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), "TPL-limit");
  EXPECT_EQ(RuleOf("{% set ns = namespace(v=1) %}{% for a in range(1000) %}{% set ns.v = [ns.v] "
                   "%}{% endfor %}"),
            "TPL-limit");
  EXPECT_EQ(RuleOf("{{ " + Repeat("(", 5000) + "1" + Repeat(")", 5000) + " }}"), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ " + Repeat("[", 5000)), "TPL-syntax");
  EXPECT_EQ(RuleOf("{{ " + Repeat("not ", 5000) + "1 }}"), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ " + Repeat("-", 5000) + "1 }}"), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ 1" + Repeat(" + 1", 5000) + " }}"), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ x" + Repeat("|string", 5000) + " }}"), "TPL-limit");
  EXPECT_EQ(RuleOf("{{ x" + Repeat(" if x else x", 5000) + " }}"), "TPL-limit");
  EXPECT_EQ(RuleOf(Repeat("{% if x %}", 5000) + Repeat("{% endif %}", 5000)), "TPL-limit");
  EXPECT_EQ(RuleOf("{% set " + Repeat("(", 5000) + "a = 1 %}"), "TPL-syntax");
  EXPECT_EQ(RuleOf("{{ 1" + Repeat(" + 1", 200) + " }}"), "");
  EXPECT_EQ(RuleOf(Repeat("{% if x %}", 150) + Repeat("{% endif %}", 150)), "");
}

// The deepest that all limits together allow must fit the stack.
TEST(TemplateLimits, DeepMacrosWithDeepExpressions) {
  const std::string deep = Repeat("[", 60) + "m(n - 1)" + Repeat("]", 60);
  EXPECT_EQ(RuleOf("{% macro m(n) %}{{ " + deep + " }}{% endmacro %}{{ m(1) }}"), "TPL-limit");
}

// Namespaces, loops and macros may refer to each other and to themselves: nothing leaks and nothing
// recurses for ever.
TEST(TemplateLimits, Cycles) {
  EXPECT_EQ(Text("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me is defined }}"),
            "True");
  EXPECT_EQ(RuleOf("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}"), "TPL-limit");
  EXPECT_EQ(
      Text("{% set ns = namespace() %}{% for a in [1] %}{% set ns.l = loop %}{% set ns.n = ns %}"
           "{% macro m() %}{{ loop.index }}{% endmacro %}{% set ns.m = m %}{{ loop.changed(ns) }}"
           "{% endfor %}{{ ns.m() }}{{ ns.l.last }}"),
      "True1True");
  EXPECT_EQ(Text("{% set ns = namespace() %}{% for i in range(20000) %}{% set old = ns.m %}"
                 "{% macro m() %}{% endmacro %}{% set ns.m = m %}{% endfor %}ok"),
            "ok");
}

}  // namespace
}  // namespace slim

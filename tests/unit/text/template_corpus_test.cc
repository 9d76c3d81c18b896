// Every template of testdata/templates against the text that jinja2 3.1.6 made of it
// (make_expected.py there).
#include <gtest/gtest.h>

#include <algorithm>

#include "text/template_support.h"

namespace slim {
namespace {

std::vector<std::string> TemplateNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(SLIM_TESTDATA "/templates")) {
    if (entry.path().extension() == ".jinja") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class TemplateCorpus : public testing::TestWithParam<std::string> {};

TEST_P(TemplateCorpus, RendersAsJinja) {
  const std::filesystem::path base = std::filesystem::path(SLIM_TESTDATA) / "templates";
  const std::string source = test::ReadText(base / (GetParam() + ".jinja"));
  const std::string context = test::ReadText(base / (GetParam() + ".json"));
  ASSERT_TRUE(std::filesystem::exists(base / (GetParam() + ".txt")));
  EXPECT_EQ(test::Text(source, context), test::ReadText(base / (GetParam() + ".txt")));
}

INSTANTIATE_TEST_SUITE_P(All, TemplateCorpus, testing::ValuesIn(TemplateNames()),
                         [](const auto& test) { return test.param; });

TEST(TemplateCorpusFiles, AreThere) { EXPECT_GE(TemplateNames().size(), 30U); }

}  // namespace
}  // namespace slim

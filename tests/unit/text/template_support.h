// Helpers of the template tests: rendering with a fixed clock, and reading test data.
#pragma once

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "text/chat_template.h"

namespace slim::test {

// Friday 2024-07-26 09:05:07, as testdata/templates/make_expected.py.
inline std::tm FixedTime() {
  std::tm time{};
  time.tm_year = 124;
  time.tm_mon = 6;
  time.tm_mday = 26;
  time.tm_wday = 5;
  time.tm_yday = 207;
  time.tm_hour = 9;
  time.tm_min = 5;
  time.tm_sec = 7;
  return time;
}

inline Result<std::string> Render(std::string_view source, std::string_view context = "{}",
                                  const TemplateLimits& limits = {}) {
  SLIM_ASSIGN(const ChatTemplate compiled, ChatTemplate::Compile(source));
  SLIM_ASSIGN(const Json json, ParseJson(context));
  return compiled.Render(json, limits, FixedTime);
}

// The text, or "rule: message".
inline std::string Text(std::string_view source, std::string_view context = "{}",
                        const TemplateLimits& limits = {}) {
  auto text = Render(source, context, limits);
  return text.ok() ? *text : text.error().rule + ": " + text.error().message;
}

inline std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

}  // namespace slim::test

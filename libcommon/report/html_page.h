// The frame of the pages that the tools write: one HTML document that refers to nothing outside
// itself, light or dark as the reader's browser is set.
#pragma once

#include <string>
#include <string_view>

namespace slim {

struct HtmlPage {
  std::string_view tool;   // "slim-verify"
  std::string title;       // plain text, after the tool's name
  std::string heading;     // plain text, likewise
  std::string_view style;  // rules beside those that all pages share
  std::string body;        // markup
};

// Colours are the variables --ink, --dim, --line, --paper, --soft, --error, --warning, --note,
// --ok.
std::string DumpHtml(const HtmlPage& page);

}  // namespace slim

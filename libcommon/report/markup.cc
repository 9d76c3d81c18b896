#include "report/markup.h"

#include "base/text.h"

namespace slim {

std::string EscapeMarkup(std::string_view text) {
  std::string out;
  const std::vector<std::string> lines = Split(text, '\n');
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    for (const char c : Escape(lines[i])) {
      switch (c) {
        case '&':
          out += "&amp;";
          break;
        case '<':
          out += "&lt;";
          break;
        case '>':
          out += "&gt;";
          break;
        case '"':
          out += "&quot;";
          break;
        case '\'':
          out += "&#39;";
          break;
        default:
          out += c;
      }
    }
  }
  return out;
}

}  // namespace slim

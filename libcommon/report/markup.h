// Text from files as content or attribute of XML and HTML.
#pragma once

#include <string>
#include <string_view>

namespace slim {

// & < > " ' as entities; what is no UTF-8 or no character of XML as \xNN.
std::string EscapeMarkup(std::string_view text);

}  // namespace slim

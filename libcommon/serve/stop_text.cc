#include "serve/stop_text.h"

#include <algorithm>

namespace slim {

std::string StopText::GiveOut(size_t count) {
  std::string text = held_.substr(0, count);
  held_.erase(0, count);
  length_ += text.size();
  return text;
}

std::string StopText::Push(std::string_view piece) {
  if (stopped_) return "";
  held_ += piece;
  // The stop text that ends first, so that the cut does not depend on how the text comes; of two,
  // the longer.
  size_t found = std::string::npos;
  size_t end = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t begin = held_.find(stop);
    if (begin == std::string::npos) continue;
    if (begin + stop.size() < end || (begin + stop.size() == end && begin < found)) found = begin;
    end = std::min(end, begin + stop.size());
  }
  if (found != std::string::npos) {
    stopped_ = true;
    std::string text = GiveOut(found);
    held_.clear();
    return text;
  }
  // The longest end of the text that a stop text begins with.
  size_t keep = 0;
  for (const std::string& stop : stops_) {
    for (size_t length = std::min(stop.size() - 1, held_.size()); length > keep; --length) {
      if (held_.compare(held_.size() - length, length, stop, 0, length) == 0) keep = length;
    }
  }
  return GiveOut(held_.size() - keep);
}

std::string StopText::Finish() { return GiveOut(held_.size()); }

}  // namespace slim

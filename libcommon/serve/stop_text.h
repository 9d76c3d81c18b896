// Cuts a growing text where one of several stop texts begins. Text that may be the beginning of a
// stop text is held back until it is certain.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace slim {

class StopText {
 public:
  // Stop texts are not empty.
  explicit StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // The text that became certain with `piece`. Nothing more once stopped().
  std::string Push(std::string_view piece);
  // The text held back at the end.
  std::string Finish();

  // True once a stop text was found; it is not part of what was given out.
  bool stopped() const { return stopped_; }
  // Bytes given out so far.
  size_t length() const { return length_; }

 private:
  std::string GiveOut(size_t count);

  std::vector<std::string> stops_;
  std::string held_;
  size_t length_ = 0;
  bool stopped_ = false;
};

}  // namespace slim

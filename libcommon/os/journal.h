// What a long run has finished so far, line by line, so that a run that was killed can be taken up
// again. Append-only and locked by its writer. It promises no durability: whoever reads the lines
// must be able to check them against what they speak of.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

class Journal {
 public:
  // Takes up the journal that is there, or begins one. Another process that holds it is an error.
  static Result<Journal> Open(const std::string& path);
  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&&) = delete;
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();

  // The whole lines that an earlier run left; a line that was cut off is none.
  const std::vector<std::string>& lines() const { return lines_; }
  // One line without a line feed in it, in one write.
  Status Append(std::string_view line);
  // The work is done: the journal goes.
  void Remove();

 private:
  Journal() = default;

  std::string path_;
  int fd_ = -1;
  std::vector<std::string> lines_;
};

}  // namespace slim

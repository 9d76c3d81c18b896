// What a killed run had finished, so that the next one goes on from there: one line a tensor or a
// saved state, appended to a file in the partial directory after the bytes it speaks of were
// written. Trusts nothing: the reader of an entry compares its digest with the bytes. Holds no
// format of weights.
//
//   slim-journal 1 KEY          the first line; KEY identifies the run (configuration and inputs)
//   T DIGEST NAME               the tensor is in its place
//   N TEXT                      a note of the run's own, one line
//   S DIGEST FILE TAG           FILE holds the state with that tag; earlier ones are void
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/output.h"

namespace slim {

struct SavedState {
  std::string tag;
  std::string file;  // in the partial directory
  std::string digest;
};

struct JournalContent {
  std::string key;
  std::map<std::string, std::string> tensors;  // digest by name
  std::vector<std::string> notes;              // in order
  std::optional<SavedState> state;
};

// A last line without its end, which a kill leaves, is dropped, and so is everything from the first
// line that is no entry. Empty when it does not begin as a journal.
std::optional<JournalContent> ParseJournal(std::string_view text);

class WriteJournal {
 public:
  static constexpr std::string_view kFileName = "slim-journal";

  // Begins the file anew with what `content` holds.
  static Result<WriteJournal> Create(OutputDirectory& directory, const JournalContent& content);
  Status AddTensor(std::string_view name, std::string_view digest);
  Status AddNote(std::string_view text);
  Status AddState(const SavedState& state);

 private:
  explicit WriteJournal(OutputFile file) : file_(std::move(file)) {}
  Status Append(std::string_view line);

  OutputFile file_;
  uint64_t size_ = 0;
};

}  // namespace slim

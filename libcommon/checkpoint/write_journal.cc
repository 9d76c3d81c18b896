#include "checkpoint/write_journal.h"

#include <fmt/format.h>

#include "base/text.h"

namespace slim {
namespace {

constexpr std::string_view kFirstLine = "slim-journal 1 ";

std::string TensorLine(std::string_view name, std::string_view digest) {
  return fmt::format("T {} {}\n", digest, name);
}

std::string NoteLine(std::string_view text) { return fmt::format("N {}\n", text); }

std::string StateLine(const SavedState& state) {
  return fmt::format("S {} {} {}\n", state.digest, state.file, state.tag);
}

// "DIGEST REST" -> both.
std::optional<std::pair<std::string, std::string>> SplitDigest(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || space == 0) return std::nullopt;
  return std::pair(std::string(text.substr(0, space)), std::string(text.substr(space + 1)));
}

bool ReadEntry(std::string_view line, JournalContent& content) {
  if (line.size() < 2 || line[1] != ' ') return false;
  if (line[0] == 'N') {
    content.notes.emplace_back(line.substr(2));
    return true;
  }
  const auto parts = SplitDigest(line.substr(2));
  if (!parts) return false;
  if (line[0] == 'T') {
    content.tensors[parts->second] = parts->first;
    return true;
  }
  const auto named = SplitDigest(parts->second);
  if (line[0] != 'S' || !named || named->first.find('/') != std::string::npos) return false;
  content.state = SavedState{named->second, named->first, parts->first};
  return true;
}

}  // namespace

std::optional<JournalContent> ParseJournal(std::string_view text) {
  const size_t first = text.find('\n');
  if (!text.starts_with(kFirstLine) || first == std::string_view::npos) return std::nullopt;
  JournalContent content;
  content.key = text.substr(kFirstLine.size(), first - kFirstLine.size());
  for (size_t at = first + 1; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;
    if (!ReadEntry(text.substr(at, end - at), content)) break;
    at = end + 1;
  }
  return content;
}

Result<WriteJournal> WriteJournal::Create(OutputDirectory& directory,
                                          const JournalContent& content) {
  std::string text = fmt::format("{}{}\n", kFirstLine, content.key);
  for (const auto& [name, digest] : content.tensors) text += TensorLine(name, digest);
  for (const std::string& note : content.notes) text += NoteLine(note);
  if (content.state) text += StateLine(*content.state);
  SLIM_TRY(directory.RemoveFile(kFileName));
  SLIM_ASSIGN(OutputFile file, directory.CreateFile(kFileName, 0));
  WriteJournal journal(std::move(file));
  SLIM_TRY(journal.Append(text));
  return journal;
}

Status WriteJournal::AddTensor(std::string_view name, std::string_view digest) {
  return Append(TensorLine(name, digest));
}

Status WriteJournal::AddNote(std::string_view text) { return Append(NoteLine(text)); }

Status WriteJournal::AddState(const SavedState& state) { return Append(StateLine(state)); }

Status WriteJournal::Append(std::string_view line) {
  SLIM_TRY(file_.WriteAt(std::as_bytes(std::span(line)), size_));
  size_ += line.size();
  return {};
}

}  // namespace slim

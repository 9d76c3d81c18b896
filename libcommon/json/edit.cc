#include "json/edit.h"

#include <vector>

#include "base/text.h"
#include "json/json.h"
#include "json/scanner.h"

namespace slim {
namespace {

struct MemberSpan {
  std::string key;
  size_t before = 0;  // end of what precedes: the brace, or the previous value (the comma belongs
                      // to this member)
  size_t value_begin = 0;
  size_t value_end = 0;
};

struct ObjectSpans {
  size_t open_end = 0;  // just after '{'
  std::vector<MemberSpan> members;
};

Result<ObjectSpans> FindMembers(std::string_view document) {
  JsonScanner scanner(document);
  SLIM_TRY(scanner.Start());
  SLIM_TRY(scanner.BeginObject());
  ObjectSpans spans;
  spans.open_end = scanner.offset();
  size_t before = spans.open_end;
  while (true) {
    std::string_view key;
    SLIM_ASSIGN(const bool more, scanner.NextKey(key));
    if (!more) break;
    MemberSpan member;
    member.key = key;
    member.before = before;
    scanner.NextKind();  // steps over white space
    member.value_begin = scanner.offset();
    SLIM_TRY(scanner.SkipValue(64));
    member.value_end = scanner.offset();
    before = member.value_end;
    spans.members.push_back(std::move(member));
  }
  SLIM_TRY(scanner.End());
  return spans;
}

}  // namespace

Result<std::string> SetMember(std::string_view document, std::string_view key,
                              std::string_view value_text) {
  SLIM_ASSIGN(const ObjectSpans spans, FindMembers(document));
  std::string out;
  for (const MemberSpan& member : spans.members) {
    if (member.key != key) continue;
    out += document.substr(0, member.value_begin);
    out += value_text;
    out += document.substr(member.value_end);
    return out;
  }
  std::string name;
  AppendJsonString(name, key);
  if (spans.members.empty()) {
    out += document.substr(0, spans.open_end);
    out += name + ": " + std::string(value_text);
    out += document.substr(spans.open_end);
    return out;
  }
  // The white space between '{' and the first key is the document's own indentation.
  const size_t first_key = document.find('"', spans.open_end);
  const std::string_view indentation = document.substr(spans.open_end, first_key - spans.open_end);
  const size_t end = spans.members.back().value_end;
  out += document.substr(0, end);
  out += ",";
  out += indentation.empty() ? " " : indentation;
  out += name + ": " + std::string(value_text);
  out += document.substr(end);
  return out;
}

Result<std::string> RemoveMember(std::string_view document, std::string_view key) {
  SLIM_ASSIGN(const ObjectSpans spans, FindMembers(document));
  for (size_t i = 0; i < spans.members.size(); ++i) {
    const MemberSpan& member = spans.members[i];
    if (member.key != key) continue;
    std::string out(document.substr(0, member.before));
    size_t rest = member.value_end;
    if (i == 0 && spans.members.size() > 1) {
      // Keep the indentation before the first key; drop up to the next key.
      const size_t first_key = document.find('"', spans.open_end);
      out += document.substr(spans.open_end, first_key - spans.open_end);
      rest = document.find('"', document.find(',', member.value_end));
    }
    out += document.substr(rest);
    return out;
  }
  return std::string(document);
}

Result<std::string> RenameMember(std::string_view document, std::string_view key,
                                 std::string_view new_key) {
  SLIM_ASSIGN(const ObjectSpans spans, FindMembers(document));
  const MemberSpan* found = nullptr;
  for (const MemberSpan& member : spans.members) {
    if (member.key == key) found = &member;
    if (member.key == new_key) {
      return InputError("JSON-duplicate-key", "has both " + Quote(key) + " and " + Quote(new_key));
    }
  }
  if (found == nullptr) return std::string(document);
  const size_t open = document.find('"', found->before);
  const size_t close = document.rfind('"', document.rfind(':', found->value_begin - 1));
  std::string out(document.substr(0, open));
  AppendJsonString(out, new_key);
  out += document.substr(close + 1);
  return out;
}

}  // namespace slim

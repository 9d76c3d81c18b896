#include "text/post_processor.h"

#include <fmt/format.h>

#include "base/text.h"
#include "text/component.h"
#include "text/vocabulary.h"

namespace slim {
namespace {

constexpr std::string_view kKind = "post_processor";

Result<int32_t> ReadId(const Json& json, const Component& part) {
  const std::optional<int64_t> id = json.AsInteger();
  if (!id || *id < 0 || *id > kMaxTokenId) {
    return part.Bad(fmt::format("a token id must be an integer from 0 to {}", kMaxTokenId));
  }
  return static_cast<int32_t>(*id);
}

// {"SpecialToken": {"id": NAME}} through "special_tokens": {NAME: {"ids": […]}}.
Status AppendSpecial(const Component& part, const Json& piece, std::vector<int32_t>& out) {
  const Json* name = piece.Find("id");
  const Json* table = part.Find("special_tokens");
  if (name == nullptr || !name->is_string() || table == nullptr) {
    return part.Bad("a SpecialToken needs an \"id\" and \"special_tokens\"");
  }
  const Json* entry = table->Find(name->text());
  const Json* ids = entry == nullptr ? nullptr : entry->Find("ids");
  if (ids == nullptr || !ids->is_array()) {
    return part.Bad("\"special_tokens\" has no ids for " + Quote(name->text()));
  }
  for (const Json& item : ids->items()) {
    SLIM_ASSIGN(const int32_t id, ReadId(item, part));
    out.push_back(id);
  }
  return {};
}

Result<PostProcessor> ReadTemplate(const Component& part) {
  SLIM_ASSIGN(const Json* pieces, part.Parts("single"));
  // Bounds what a short file can expand to: a template names a handful of tokens.
  constexpr size_t kMaxTokens = 1024;
  PostProcessor result;
  bool seen_text = false;
  for (const Json& piece : pieces->items()) {
    std::vector<int32_t>& out = seen_text ? result.after : result.before;
    if (const Json* special = piece.Find("SpecialToken"); special != nullptr) {
      SLIM_TRY(AppendSpecial(part, *special, out));
    } else if (const Json* sequence = piece.Find("Sequence"); sequence != nullptr) {
      const Json* id = sequence->Find("id");
      if (seen_text || id == nullptr || id->AsString() != "A") {
        return InputError("TOK-template",
                          "post_processor TemplateProcessing: \"single\" must have "
                          "the sequence A exactly once");
      }
      seen_text = true;
    } else {
      return part.Bad("a piece of \"single\" must be a SpecialToken or a Sequence");
    }
    if (result.before.size() + result.after.size() > kMaxTokens) {
      return InputError("TOK-template",
                        fmt::format("post_processor TemplateProcessing: more than {} "
                                    "special tokens",
                                    kMaxTokens));
    }
  }
  if (!seen_text) {
    return InputError("TOK-template",
                      "post_processor TemplateProcessing: \"single\" lacks the sequence A");
  }
  return result;
}

// ["</s>", 2]
Result<int32_t> ReadTokenWithId(const Component& part, std::string_view field) {
  const Json* pair = part.Find(field);
  if (pair == nullptr || !pair->is_array() || pair->items().size() != 2) {
    return part.Bad(fmt::format("\"{}\" must be [token, id]", field));
  }
  return ReadId(pair->items()[1], part);
}

Result<PostProcessor> ReadAround(const Component& part) {
  SLIM_ASSIGN(const int32_t first, ReadTokenWithId(part, "cls"));
  SLIM_ASSIGN(const int32_t last, ReadTokenWithId(part, "sep"));
  return PostProcessor{{first}, {last}};
}

Result<PostProcessor> ReadSequence(const Component& part) {
  SLIM_ASSIGN(const Json* items, part.Parts("processors"));
  PostProcessor result;
  for (const Json& item : items->items()) {
    SLIM_ASSIGN(const PostProcessor next, PostProcessor::FromJson(&item));
    result.before.insert(result.before.begin(), next.before.begin(), next.before.end());
    result.after.insert(result.after.end(), next.after.begin(), next.after.end());
  }
  return result;
}

}  // namespace

void PostProcessor::Apply(std::vector<int32_t>& ids) const {
  ids.insert(ids.begin(), before.begin(), before.end());
  ids.insert(ids.end(), after.begin(), after.end());
}

Result<PostProcessor> PostProcessor::FromJson(const Json* json) {
  if (json == nullptr || json->is_null()) return PostProcessor{};
  SLIM_ASSIGN(const Component part, Component::Open(*json, kKind));
  const std::string& type = part.type();
  if (type == "TemplateProcessing") return ReadTemplate(part);
  if (type == "ByteLevel") return PostProcessor{};
  if (type == "BertProcessing" || type == "RobertaProcessing") return ReadAround(part);
  if (type == "Sequence") return ReadSequence(part);
  return part.Unsupported();
}

}  // namespace slim

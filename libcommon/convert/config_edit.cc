#include "convert/config_edit.h"

#include <fmt/format.h>

#include "base/text.h"
#include "json/edit.h"
#include "json/json.h"

namespace slim {
namespace {

constexpr std::string_view kBlock = "quantization_config";
constexpr std::string_view kQuantize = "quantize";

class Editor {
 public:
  Editor(std::string_view text, const ConfigTarget& target) : target_(target) {
    if (target_.source_quant_type.empty()) target_.source_quant_type = target_.quant_type;
    result_.text = text;
  }

  Status Run() {
    // What a float checkpoint still says of an earlier quantization is not true of this one.
    if (target_.from == Dialect::kHf && target_.quant_type != "float") {
      SLIM_TRY(Remove(kQuantize));
      SLIM_TRY(Remove(kBlock));
    }
    if (target_.dequantized) {
      for (const std::string_view key :
           {kQuantize, kBlock, kParkedConfigKey, std::string_view("compression_config")}) {
        SLIM_TRY(Remove(key));
      }
    } else if (target_.to == Dialect::kMindIE) {
      SLIM_TRY(Rename(kParkedConfigKey, kBlock));
      if (target_.quant_type != "float") {
        SLIM_TRY(SetQuantize());
        SLIM_TRY(SetBlock());
      }
    } else if (target_.to == Dialect::kNpy) {
      if (target_.quant_type != "float") SLIM_TRY(SetQuantize());
    } else if (target_.from == Dialect::kMindIE) {
      SLIM_TRY(LeaveBlock());
      SLIM_TRY(LeaveQuantize());
    }
    if (!target_.quantization_config.empty()) SLIM_TRY(Set(kBlock, target_.quantization_config));
    return target_.dtype ? SetDType() : Status();
  }

  EditedConfig&& Take() { return std::move(result_); }

 private:
  Result<Json> Parse() const { return ParseJson(result_.text); }

  Status Set(std::string_view key, const std::string& value) {
    SLIM_ASSIGN(result_.text, SetMember(result_.text, key, value));
    result_.edits.push_back({std::string(key), "set", value});
    return {};
  }

  Status Rename(std::string_view key, std::string_view new_key) {
    SLIM_ASSIGN(const Json config, Parse());
    if (config.Find(key) == nullptr) return {};
    SLIM_ASSIGN(result_.text, RenameMember(result_.text, key, new_key));
    result_.edits.push_back({std::string(key), "renamed", std::string(new_key)});
    return {};
  }

  Status Remove(std::string_view key) {
    SLIM_ASSIGN(std::string without, RemoveMember(result_.text, key));
    if (without == result_.text) return {};
    result_.text = std::move(without);
    result_.edits.push_back({std::string(key), "removed", ""});
    return {};
  }

  // Whether removing the member and appending it again gives the same bytes.
  Result<bool> IsAppended(std::string_view key, const std::string& value) const {
    SLIM_ASSIGN(const std::string without, RemoveMember(result_.text, key));
    SLIM_ASSIGN(const std::string again, SetMember(without, key, value));
    return without != result_.text && again == result_.text;
  }

  Result<bool> RemoveIfAppended(std::string_view key, const std::string& value) {
    SLIM_ASSIGN(const bool appended, IsAppended(key, value));
    if (!appended) return false;
    SLIM_ASSIGN(result_.text, RemoveMember(result_.text, key));
    result_.edits.push_back({std::string(key), "removed", ""});
    return true;
  }

  std::string QuantizeText() const { return DumpJson(Json(target_.quant_type)); }
  // What mindie needs in quantization_config; empty when nothing.
  Json Block() const {
    Json block = Json::Object();
    if (target_.group_size != 0) block.Set("group_size", target_.group_size);
    if (target_.pdmix) block.Set("pdmix", true);
    return block;
  }

  Status SetQuantize() {
    SLIM_ASSIGN(const Json config, Parse());
    const Json* quantize = config.Find(kQuantize);
    if (quantize == nullptr) return Set(kQuantize, QuantizeText());
    if (target_.from == Dialect::kMindIE) return {};
    if (quantize->is_string() && quantize->text() == target_.quant_type) {
      SLIM_ASSIGN(const bool last, IsAppended(kQuantize, QuantizeText()));
      if (last) {
        result_.notes.push_back(fmt::format(
            "config.json of the source ends with 'quantize': converting back to {} removes it",
            TraitsOf(target_.from).name));
      }
      return {};
    }
    if (*quantize != Json(target_.source_quant_type))
      result_.notes.push_back(fmt::format("config.json: 'quantize' was {}", DumpJson(*quantize)));
    return Set(kQuantize, QuantizeText());
  }

  Status SetBlock() {
    const Json wanted = Block();
    if (wanted.members().empty()) return {};
    SLIM_ASSIGN(const Json config, Parse());
    const Json* block = config.Find(kBlock);
    if (block == nullptr) return Set(kBlock, DumpJson(wanted));
    for (const auto& [key, value] : wanted.members()) {
      const Json* found = block->is_object() ? block->Find(key) : nullptr;
      if (found != nullptr && *found == value) continue;
      return InputError(
          "CF-bad-value",
          fmt::format("config.json has a quantization_config whose {} is {}, "
                      "expected {}",
                      key, found == nullptr ? "missing" : DumpJson(*found), DumpJson(value)),
          "correct it there");
    }
    return {};
  }

  Status LeaveBlock() {
    SLIM_ASSIGN(const Json config, Parse());
    const Json* block = config.Find(kBlock);
    if (block == nullptr || (block->is_object() && block->Find("quant_method") != nullptr))
      return {};
    SLIM_ASSIGN(const bool removed, RemoveIfAppended(kBlock, DumpJson(Block())));
    return removed ? Status() : Rename(kBlock, kParkedConfigKey);
  }

  Status LeaveQuantize() {
    auto removed = RemoveIfAppended(kQuantize, DumpJson(Json(target_.source_quant_type)));
    if (!removed.ok()) return std::move(removed).error();
    if (*removed || target_.quant_type == target_.source_quant_type) return {};
    // Stays in its place under the type's other name (W8A8_MIX is w8a8 in mindie).
    SLIM_ASSIGN(const Json config, Parse());
    const Json* quantize = config.Find(kQuantize);
    const bool stale = quantize != nullptr && quantize->is_string() &&
                       quantize->text() == target_.source_quant_type;
    return stale ? Set(kQuantize, DumpJson(Json(target_.quant_type))) : Status();
  }

  Status SetDType() {
    SLIM_ASSIGN(const Json config, Parse());
    const std::string value = DumpJson(Json(TorchDTypeName(*target_.dtype)));
    bool named = false;
    for (const std::string_view key : {"torch_dtype", "dtype"}) {
      const Json* old = config.Find(key);
      if (old == nullptr) continue;
      named = true;
      if (DumpJson(*old) != value) SLIM_TRY(Set(key, value));
    }
    if (named) return {};
    const Json* text_config = config.Find("text_config");
    if (text_config != nullptr && text_config->is_object() &&
        (text_config->Find("torch_dtype") != nullptr || text_config->Find("dtype") != nullptr)) {
      return InputError("CF-unsupported",
                        "config.json names the dtype inside text_config, which --dtype does not "
                        "edit",
                        "set it there by hand, and convert without --dtype");
    }
    return Set("torch_dtype", value);
  }

  ConfigTarget target_;
  EditedConfig result_;
};

}  // namespace

Result<EditedConfig> EditConfig(std::string_view text, const ConfigTarget& target) {
  Editor editor(text, target);
  SLIM_TRY(editor.Run());
  return editor.Take();
}

}  // namespace slim

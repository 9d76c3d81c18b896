#include "quant/options.h"

namespace slim {

std::string_view SmoothMethodName(SmoothMethod smooth) {
  return smooth == SmoothMethod::kIter ? "iter" : "none";
}

std::string_view ComputeModeName(ComputeMode compute) {
  return compute == ComputeMode::kModel ? "model" : "fp32";
}

Json ConfigurationJson(const QuantOptions& options) {
  const auto list = [](const std::vector<std::string>& names) {
    Json array = Json::Array();
    for (const std::string& name : names) array.Push(name);
    return array;
  };
  Json json = Json::Object();
  json.Set("type", SchemeName(options.type)).Set("layout", TraitsOf(options.layout).name);
  json.Set("compute", ComputeModeName(options.compute))
      .Set("smooth", SmoothMethodName(options.smooth));
  if (options.smooth == SmoothMethod::kIter) json.Set("alpha", Json::Real(options.alpha));
  json.Set("float_names", list(options.float_names))
      .Set("quantize_names", list(options.quantize_names));
  return json.Set("part_size", options.part_size);
}

std::vector<Scheme> QuantizableTypes() {
  return {Scheme::kW8A8, Scheme::kW8A8Dynamic, Scheme::kW8A16};
}

std::vector<std::string> DefaultFloatNames(Scheme type) {
  if (type == Scheme::kW8A8) return {"*down_proj", "lm_head"};
  return {"lm_head"};
}

SmoothMethod DefaultSmooth(Scheme type) {
  return type == Scheme::kW8A16 ? SmoothMethod::kNone : SmoothMethod::kIter;
}

}  // namespace slim

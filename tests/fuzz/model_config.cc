// Any bytes as config.json. What is accepted has sizes that the forward pass can rely on.
#include "model/model_config.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = slim::ParseJson(slim::InputText(data, size));
  if (!json.ok()) return 0;
  if (const auto dtype = slim::ConfigDType(*json); !dtype.ok()) {
    FUZZ_CHECK(!dtype.error().rule.empty());
  }
  const auto config = slim::ParseModelConfig(*json);
  if (!config.ok()) {
    FUZZ_CHECK(config.error().ToString().find('\n') == std::string::npos);
    return 0;
  }
  FUZZ_CHECK(config->num_heads > 0 && config->num_kv_heads > 0 && config->head_dim > 0);
  FUZZ_CHECK(config->num_heads % config->num_kv_heads == 0);
  return 0;
}

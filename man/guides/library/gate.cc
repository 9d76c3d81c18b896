// A release gate in a program of your own: quantize a checkpoint, ask what vLLM-Ascend will make of
// it.
#include <slim/slim.h>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto written = slim::api::Quantize(argv[1], argv[2], {.type = "w8a8_dynamic"});
  if (!written.ok()) {
    std::cerr << written.error().ToString() << '\n';
    return static_cast<int>(written.error().code);
  }
  const auto verdict = slim::api::Verify(argv[2], {.deep = true, .loader = "vllm-ascend"});
  if (!verdict.ok()) return 3;
  for (const auto& finding : verdict->findings)
    std::cout << finding.severity << ": " << finding.tensor << ": " << finding.message << '\n';
  std::cout << written->quant_type << ", " << written->bytes << " bytes, "
            << (verdict->accepted ? "accepted" : "refused") << '\n';
  return verdict->accepted ? 0 : 1;
}

#include "checkpoint/sniff.h"

#include <string_view>

#include "base/text.h"

namespace slim {

std::string SniffForeignFormat(std::span<const std::byte> head) {
  const std::string_view bytes(reinterpret_cast<const char*>(head.data()), head.size());
  struct Signature {
    std::string_view prefix;
    std::string_view name;
  };
  constexpr Signature kSignatures[] = {
      {"version https://git-lfs", "a git-lfs pointer, not the file itself (run git lfs pull)"},
      {"GGUF", "a GGUF file"},
      {"PK\x03\x04", "a zip archive, as PyTorch saves (.bin, .pt)"},
      {"\x93NUMPY", "a numpy file"},
      {"\x1f\x8b", "a gzip archive"},
      {"\x28\xb5\x2f\xfd", "a zstd archive"},
      {"7z\xbc\xaf", "a 7z archive"},
      {"\x80\x02", "a pickle, as old PyTorch saves"},
      {"\x80\x03", "a pickle"},
      {"\x80\x04", "a pickle"},
      {"\x80\x05", "a pickle"},
  };
  for (const Signature& signature : kSignatures) {
    if (bytes.starts_with(signature.prefix)) return std::string(signature.name);
  }
  const std::string text = ToLower(Trim(bytes.substr(0, 64)));
  if (text.starts_with("<!doctype html") || text.starts_with("<html")) {
    return "an HTML page (an error page saved as the file?)";
  }
  if (text.starts_with("<?xml")) return "an XML document (an error page saved as the file?)";
  if (text.starts_with("{")) return "a JSON document";
  return "";
}

}  // namespace slim

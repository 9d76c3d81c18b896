#include "os/compress.h"

#include <fmt/format.h>
#include <zstd.h>

#include <memory>

namespace slim {

Result<std::vector<std::byte>> ZstdCompress(std::span<const std::byte> bytes, int level) {
  std::vector<std::byte> frame(ZSTD_compressBound(bytes.size()));
  const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                   ZSTD_freeCCtx);
  if (context == nullptr) return InternalError("zstd: out of memory");
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  const size_t size =
      ZSTD_compress2(context.get(), frame.data(), frame.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(size) != 0)
    return InternalError(fmt::format("zstd: {}", ZSTD_getErrorName(size)));
  frame.resize(size);
  return frame;
}

Status ZstdDecompress(std::span<const std::byte> frame, std::span<std::byte> out) {
  const size_t size = ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0) {
    return InputError("ZSTD-frame", fmt::format("is no whole zstd frame of {} bytes ({})",
                                                out.size(), ZSTD_getErrorName(size)));
  }
  if (size == out.size()) return {};
  return InputError("ZSTD-frame", fmt::format("unpacks to {} bytes, wanted {}", size, out.size()));
}

}  // namespace slim

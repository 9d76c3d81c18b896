#include "os/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include <algorithm>
#include <vector>

#include "os/interrupt.h"

namespace slim {
namespace {

std::string Hex(const XXH128_hash_t& hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

// Calls `consume(bytes)` over the whole file in chunks.
template <class Consume>
Status ForEachChunk(const File& file, Consume consume) {
  std::vector<std::byte> chunk(std::min<uint64_t>(file.size(), 1 << 20));
  for (uint64_t offset = 0; offset < file.size(); offset += chunk.size()) {
    SLIM_TRY(CheckInterrupt());
    const std::span<std::byte> part(chunk.data(),
                                    std::min<uint64_t>(chunk.size(), file.size() - offset));
    SLIM_TRY(file.ReadExactAt(part, offset));
    consume(part);
  }
  return {};
}

}  // namespace

struct Xxh3Hasher::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() { XXH3_128bits_reset(xxh); }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Xxh3Hasher::Xxh3Hasher() : state_(std::make_unique<State>()) {}
Xxh3Hasher::~Xxh3Hasher() = default;
Xxh3Hasher::Xxh3Hasher(Xxh3Hasher&&) noexcept = default;
Xxh3Hasher& Xxh3Hasher::operator=(Xxh3Hasher&&) noexcept = default;

void Xxh3Hasher::Update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
}

std::string Xxh3Hasher::Finish() { return Hex(XXH3_128bits_digest(state_->xxh)); }

std::string Xxh3(std::span<const std::byte> bytes) {
  return Hex(XXH3_128bits(bytes.data(), bytes.size()));
}

Result<std::string> Xxh3File(const File& file) {
  Xxh3Hasher hasher;
  SLIM_TRY(ForEachChunk(file, [&](std::span<const std::byte> part) { hasher.Update(part); }));
  return hasher.Finish();
}

Result<std::string> Sha256File(const File& file) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
    return InternalError("SHA-256 is not available");
  }
  SLIM_TRY(ForEachChunk(file, [&](std::span<const std::byte> part) {
    EVP_DigestUpdate(context.get(), part.data(), part.size());
  }));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_DigestFinal_ex(context.get(), digest, &length);
  return fmt::format("{:02x}", fmt::join(digest, digest + length, ""));
}

}  // namespace slim

#include "os/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <xxhash.h>
// Debian's library carries the kernels of every x86 vector unit; this header lets it choose.
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#include <algorithm>
#include <new>
#include <vector>

#include "os/interrupt.h"

namespace slim {
namespace {

std::string Hex(const XXH128_hash_t& hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

// Calls `consume(bytes)` over the whole file in chunks, which stay in a cache in between.
template <class Consume>
Status ForEachChunk(const File& file, const std::atomic<bool>* stopped, Consume consume) {
  std::vector<std::byte> chunk(std::min<uint64_t>(file.size(), 256 << 10));
  for (uint64_t offset = 0; offset < file.size(); offset += chunk.size()) {
    SLIM_TRY(CheckInterrupt());
    if (stopped != nullptr && *stopped) return InternalError("the digest was given up");
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
  State() {
    if (xxh == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(xxh);
  }
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

Result<std::string> Xxh3File(const File& file, const std::atomic<bool>* stopped) {
  Xxh3Hasher hasher;
  SLIM_TRY(
      ForEachChunk(file, stopped, [&](std::span<const std::byte> part) { hasher.Update(part); }));
  return hasher.Finish();
}

struct Sha256Hasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  bool ok = context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1;
  State() = default;
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Sha256Hasher::Sha256Hasher() : state_(std::make_unique<State>()) {}
Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

Status Sha256Hasher::Update(std::span<const std::byte> bytes) {
  state_->ok = state_->ok && EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1;
  return state_->ok ? Status() : InternalError("SHA-256 is not available");
}

Result<std::string> Sha256Hasher::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (!state_->ok || EVP_DigestFinal_ex(state_->context, digest, &length) != 1)
    return InternalError("SHA-256 is not available");
  return fmt::format("{:02x}", fmt::join(digest, digest + length, ""));
}

Result<std::string> Sha256File(const File& file) {
  Sha256Hasher hasher;
  Status status;
  SLIM_TRY(ForEachChunk(file, nullptr, [&](std::span<const std::byte> part) {
    if (status.ok()) status = hasher.Update(part);
  }));
  SLIM_TRY(std::move(status));
  return hasher.Finish();
}

}  // namespace slim

// Digests: XXH3-128 for tensors (speed), SHA-256 for whole files (hubs publish it). Hexadecimal,
// lower case.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "os/file.h"

namespace slim {

class Xxh3Hasher {
 public:
  Xxh3Hasher();
  ~Xxh3Hasher();
  Xxh3Hasher(Xxh3Hasher&&) noexcept;
  Xxh3Hasher& operator=(Xxh3Hasher&&) noexcept;
  void Update(std::span<const std::byte> bytes);
  std::string Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;
  Status Update(std::span<const std::byte> bytes);
  Result<std::string> Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string Xxh3(std::span<const std::byte> bytes);
// `stopped` (may be null): gives up with an error once it is true; nobody wants the digest any
// more.
Result<std::string> Xxh3File(const File& file, const std::atomic<bool>* stopped = nullptr);
Result<std::string> Sha256File(const File& file);

}  // namespace slim

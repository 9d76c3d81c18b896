// The processes of one mpirun as ranks: rank 0 reads the command line's output flags, writes and
// talks; the others compute. Owns every call of MPI; a run that no launcher started, and a build
// without MPI, are one rank and cost nothing. All calls but rank() and size() are collective, or
// matched by the other side; a failure of MPI itself ends all ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace slim {

class Ranks {
 public:
  // Of this process; before Start() rank 0 of 1.
  static Ranks& World();

  // Joins the others where a launcher started several. An error where this build has no MPI, since
  // every process would write the same output.
  Status Start();
  int rank() const { return rank_; }
  int size() const { return size_; }
  bool alone() const { return size_ == 1; }

  // The error of the lowest rank that has one, on every rank; success when none has.
  Status Agree(Status mine);
  // `bytes` of `root`, on every rank.
  void Broadcast(int root, std::vector<std::byte>& bytes);
  void Send(int to, std::span<const std::byte> bytes);
  std::vector<std::byte> Receive(int from);

  // The last call: leaves MPI and gives the exit code back, or ends the others with it when it is
  // not 0.
  int Finish(int exit_code);

 private:
  int rank_ = 0;
  int size_ = 1;
  bool joined_ = false;
};

// Texts and bytes in one message, each with its length.
class MessageWriter {
 public:
  void Add(std::span<const std::byte> bytes);
  void Add(std::string_view text) { Add(std::as_bytes(std::span(text))); }
  void Add(uint64_t number) { Add(std::as_bytes(std::span(&number, 1))); }
  void AddStatus(const Status& status);
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

// Reads them back in order; the message is our own, so a wrong one is a bug (assert).
class MessageReader {
 public:
  explicit MessageReader(std::span<const std::byte> bytes) : rest_(bytes) {}
  std::span<const std::byte> Bytes();
  std::string Text();
  uint64_t Number();
  Status ReadStatus();
  bool AtEnd() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

}  // namespace slim

#include "parallel/mpi.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#ifdef SLIM_HAVE_MPI
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#endif

namespace slim {
namespace {

// Processes that the launcher says there are; 1 without a launcher.
int LaunchedSize() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char* value = std::getenv(name);
    if (value != nullptr) return std::max(1, std::atoi(value));
  }
  return 1;
}

#ifdef SLIM_HAVE_MPI
constexpr uint64_t kMostBytes = 1ULL << 30;  // of one call: MPI counts in int

// Calls transfer(pointer, count) for parts that fit a call.
template <class Transfer>
void InParts(std::byte* bytes, uint64_t size, const Transfer& transfer) {
  for (uint64_t done = 0; done < size; done += kMostBytes)
    transfer(bytes + done, static_cast<int>(std::min(size - done, kMostBytes)));
}
#endif

}  // namespace

Ranks& Ranks::World() {
  static Ranks world;
  return world;
}

Status Ranks::Start() {
  const int launched = LaunchedSize();
  if (launched == 1 || joined_) return {};
#ifdef SLIM_HAVE_MPI
  MPI_Init(nullptr, nullptr);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  joined_ = true;
  return {};
#else
  return UsageError(
      fmt::format("started as one of {} processes, and this slim was built without MPI", launched),
      "build it with MPI installed (libopenmpi-dev), or run one process");
#endif
}

Status Ranks::Agree(Status mine) {
  if (alone()) return mine;
#ifdef SLIM_HAVE_MPI
  const int own = mine.ok() ? size_ : rank_;
  int lowest = size_;
  MPI_Allreduce(&own, &lowest, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  if (lowest == size_) return {};
  MessageWriter message;
  if (lowest == rank_) message.AddStatus(mine);
  Broadcast(lowest, message.bytes());
  return MessageReader(message.bytes()).ReadStatus();
#else
  return mine;
#endif
}

void Ranks::Broadcast([[maybe_unused]] int root, [[maybe_unused]] std::vector<std::byte>& bytes) {
#ifdef SLIM_HAVE_MPI
  if (alone()) return;
  uint64_t size = bytes.size();
  MPI_Bcast(&size, 1, MPI_UINT64_T, root, MPI_COMM_WORLD);
  bytes.resize(size);
  InParts(bytes.data(), size, [&](std::byte* part, int count) {
    MPI_Bcast(part, count, MPI_BYTE, root, MPI_COMM_WORLD);
  });
#endif
}

void Ranks::Send([[maybe_unused]] int to, [[maybe_unused]] std::span<const std::byte> bytes) {
#ifdef SLIM_HAVE_MPI
  const uint64_t size = bytes.size();
  MPI_Send(&size, 1, MPI_UINT64_T, to, 0, MPI_COMM_WORLD);
  InParts(const_cast<std::byte*>(bytes.data()), size, [&](std::byte* part, int count) {
    MPI_Send(part, count, MPI_BYTE, to, 0, MPI_COMM_WORLD);
  });
#endif
}

std::vector<std::byte> Ranks::Receive([[maybe_unused]] int from) {
  std::vector<std::byte> bytes;
#ifdef SLIM_HAVE_MPI
  uint64_t size = 0;
  MPI_Recv(&size, 1, MPI_UINT64_T, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  bytes.resize(size);
  InParts(bytes.data(), size, [&](std::byte* part, int count) {
    MPI_Recv(part, count, MPI_BYTE, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  });
#endif
  return bytes;
}

int Ranks::Finish(int exit_code) {
#ifdef SLIM_HAVE_MPI
  if (!joined_) return exit_code;
  // The first rank says what went wrong and puts away what it had begun: the others give it time
  // before they end it, too.
  if (exit_code != 0 && rank_ != 0) std::this_thread::sleep_for(std::chrono::seconds(5));
  if (exit_code != 0) MPI_Abort(MPI_COMM_WORLD, exit_code);
  MPI_Finalize();
#endif
  return exit_code;
}

void MessageWriter::Add(std::span<const std::byte> bytes) {
  const uint64_t size = bytes.size();
  const auto head = std::as_bytes(std::span(&size, 1));
  bytes_.insert(bytes_.end(), head.begin(), head.end());
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void MessageWriter::AddStatus(const Status& status) {
  Add(uint64_t{status.ok()});
  if (status.ok()) return;
  const Error& error = status.error();
  Add(static_cast<uint64_t>(error.code));
  for (const std::string& text : {error.rule, error.message, error.hint, error.path, error.tensor})
    Add(text);
  Add(static_cast<uint64_t>(error.system_errno));
}

Status MessageReader::ReadStatus() {
  if (Number() != 0) return {};
  Error error;
  error.code = static_cast<ErrorCode>(Number());
  for (std::string* text : {&error.rule, &error.message, &error.hint, &error.path, &error.tensor})
    *text = Text();
  error.system_errno = static_cast<int>(Number());
  return error;
}

std::span<const std::byte> MessageReader::Bytes() {
  uint64_t size = 0;
  assert(rest_.size() >= sizeof(size));
  std::memcpy(&size, rest_.data(), sizeof(size));
  assert(rest_.size() - sizeof(size) >= size);
  const auto bytes = rest_.subspan(sizeof(size), size);
  rest_ = rest_.subspan(sizeof(size) + size);
  return bytes;
}

std::string MessageReader::Text() {
  const auto bytes = Bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

uint64_t MessageReader::Number() {
  uint64_t number = 0;
  const auto bytes = Bytes();
  assert(bytes.size() == sizeof(number));
  std::memcpy(&number, bytes.data(), sizeof(number));
  return number;
}

}  // namespace slim

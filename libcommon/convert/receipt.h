// slim_receipt.json: what a writing tool made from what, so that anybody can check or repeat it.
// The same run gives the same bytes: no times, hosts, paths, thread counts. Shared by slim-convert
// and slim-quant.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_writer.h"
#include "json/json.h"
#include "parallel/thread_pool.h"

namespace slim {

struct FileDigest {
  std::string name;  // in its directory
  uint64_t bytes = 0;
  std::string xxh3_128;  // hexadecimal
};

struct ReceiptNote {
  std::string layer;  // tensor or module
  std::string note;
};

struct Receipt {
  std::string tool;                     // "slim-convert"
  Json configuration = Json::Object();  // what determines the bytes, and nothing else
  std::vector<FileDigest> inputs;
  std::map<std::string, std::string> tensors;  // XXH3-128 of each tensor's bytes, by name
  std::vector<FileDigest> files;               // of the output, weights and receipt left out
  std::string loss_class;                      // "exact", "near", "requantized"
  Json loss = Json::Object();                  // what was lost, in numbers
  std::vector<ReceiptNote> notes;
};

// JSON with two spaces a level and a final newline; schemas/receipt.schema.json.
std::string WriteReceipt(const Receipt& receipt);

// Weights, index, description, config.json and the named side files, sorted by name. Reads every
// byte; files are spread over the pool. Gives up with an error once `stopped` (may be null) is
// true.
Result<std::vector<FileDigest>> DigestInputs(const Checkpoint& source,
                                             const std::vector<std::string>& side_files,
                                             ThreadPool& pool,
                                             const std::atomic<bool>* stopped = nullptr);

// Everything in `directory` that is neither a weight file nor a receipt, sorted by name.
Result<std::vector<FileDigest>> DigestOutputFiles(const std::string& directory, ThreadPool& pool);

// Fills in what the writer knows after Finish() and writes the receipt beside the weights.
Status WriteReceiptFile(CheckpointWriter& writer, Receipt receipt, ThreadPool& pool);

}  // namespace slim

// The public C++ interface of libslim: open, list, read, verify, convert, quantize. Standard types
// only; a minor version adds and changes nothing that is here. Every function is the one call that
// a tool makes: same errors (base/error.h), same promises (slim-checkpoint.5), same bytes. Prints
// nothing and never exits; what a tool would print as notes and progress goes to a Listener.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"

namespace slim::api {

// "0.1.0"
std::string Version();

struct TensorInfo {
  std::string name = {};
  std::string dtype = {};            // as safetensors writes it: "BF16", "I8"
  std::vector<uint64_t> shape = {};  // weights are [n, k] = [out, in]
  uint64_t bytes = 0;
  std::string file = {};
  std::string quant_type = {};  // label of the description: "W8A8"; empty without a description
};

// An open checkpoint: a directory, or one .safetensors file. Reading is thread-safe.
class Model {
 public:
  // The first structural problem is the error (ErrorCode::kInput).
  static Result<Model> Open(const std::string& path);
  Model(Model&& other) noexcept;
  Model& operator=(Model&& other) noexcept;
  ~Model();

  std::string dialect() const;     // "ascendv1"
  std::string quant_type() const;  // of the whole model: "W8A8"; "FLOAT" without a description
  const std::vector<TensorInfo>& tensors() const;  // by file, then by position in it
  // The bytes as stored, little endian, row after row; CK-missing-tensor for an unknown name.
  Result<std::vector<std::byte>> Read(const std::string& name) const;

 private:
  struct State;
  explicit Model(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct VerifyOptions {
  bool deep = false;        // every value, not only headers and descriptions
  std::string loader = {};  // "vllm-ascend@0.16" (slim-verify --list-profiles); empty: no loader
  std::string chip = {};    // "A2"; empty: unknown
  uint32_t tensor_parallel = 0;  // 0: unknown
  int threads = 0;               // 0: the processors there are
};

struct Finding {
  std::string rule = {};      // stable id: "LIN-dtype"
  std::string severity = {};  // "error", "warning" or "note"
  std::string path = {};
  std::string tensor = {};
  std::string message = {};
  std::string fix = {};
  std::string effect = {};  // what the loader does: "refuses", "loads-wrong"; may be empty
};

struct Verdict {
  bool accepted = false;  // no finding of severity error
  std::vector<Finding> findings = {};
};

// An error only when `path` is no recognisable checkpoint or the options make no sense.
Result<Verdict> Verify(const std::string& path, const VerifyOptions& options = {},
                       Listener* listener = nullptr);

// What a writer leaves behind.
struct Written {
  std::string path = {};
  std::string quant_type = {};
  uint64_t bytes = 0;  // of all tensors
  bool exact = true;   // every value is the input's
  std::vector<std::string> notes = {};
};

struct ConvertOptions {
  std::string to = "ascendv1";  // a dialect of slim-convert --list
  std::string dtype = {};       // "bf16", "fp16"; empty keeps the model's
  bool dequantize = false;      // float weights; `to` is "hf" then
  bool allow_loss = false;      // else a conversion that rounds is an error (CV-loss)
  bool force = false;           // replace an output that exists
  int threads = 0;
};

// The complete checkpoint at `output`, or an error and nothing.
Result<Written> Convert(const std::string& input, const std::string& output,
                        const ConvertOptions& options = {}, Listener* listener = nullptr);

struct QuantizeOptions {
  std::string type = "w8a8";                  // of slim-quant --type, with that type's defaults
  std::string calibration = {};               // file; empty: the set that ships
  std::vector<std::string> float_names = {};  // globs over modules that stay float as well
  std::string layout = "ascendv1";
  bool force = false;
  int threads = 0;
};

// The complete checkpoint at `output`, or an error and nothing.
Result<Written> Quantize(const std::string& model, const std::string& output,
                         const QuantizeOptions& options = {}, Listener* listener = nullptr);

}  // namespace slim::api

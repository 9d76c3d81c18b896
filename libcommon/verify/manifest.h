// slim_manifest.json: what a checkpoint's bytes were when somebody vouched for them. One digest a
// tensor, so that a difference has a name, one a header and one a side file; small JSON files in
// full, so that a changed value has a name, too. No times, hosts or paths of its maker: the same
// checkpoint gives the same manifest. Also reads the lists that sha256sum writes. Compares nothing:
// verify/manifest_check.h does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/side_files.h"
#include "dtype/dtype.h"
#include "tensor/shape.h"

namespace slim {

struct ManifestTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::string xxh3;  // of its bytes
};

struct ManifestFile {
  std::string name;  // relative to the checkpoint, '/' between folders
  uint64_t bytes = 0;
  bool is_weights = false;              // a .safetensors or .gguf file: `xxh3` is of its header
  std::string xxh3;                     // else of all its bytes; empty in a sha256sum list
  std::string sha256;                   // of all its bytes; empty when it was not asked for
  std::optional<std::string> text;      // of a small JSON file
  std::vector<ManifestTensor> tensors;  // by offset
};

struct Manifest {
  bool is_list = false;             // a sha256sum list: names some files, gives no size
  std::vector<ManifestFile> files;  // by name

  uint64_t TensorCount() const;
  uint64_t TotalBytes() const;
  const ManifestFile* Find(std::string_view name) const;
};

// JSON of schemas/manifest.schema.json, two spaces a level, one line a tensor. Names are UTF-8.
std::string ManifestText(const Manifest& manifest);
// A manifest or a sha256sum list, told apart by the first byte. Rules MAN-malformed, JSON-….
Result<Manifest> ParseManifest(std::string_view text);

// Files above this size are not kept as text.
inline constexpr uint64_t kMaxManifestText = 64ULL << 10;

struct CheckpointFile {
  std::string name;  // as ManifestFile::name
  uint64_t bytes = 0;
};
// The files that a manifest covers: every regular file at `path` and in its folders (links are
// followed), by name, but names that begin with a dot. A single file is a list of one.
Result<std::vector<CheckpointFile>> ListCheckpointFiles(const std::string& path);
// Where a file of that list is.
std::string CheckpointFilePath(const std::string& path, std::string_view name);
// Beside a single file its name with ".slim_manifest.json", in a directory kManifestFileName.
std::string DefaultManifestPath(const std::string& path);

}  // namespace slim

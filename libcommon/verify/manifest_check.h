// slim-verify --manifest: writing slim_manifest.json, and holding a checkpoint against one or
// against a sha256sum list: every changed, swapped, missing or extra tensor and file by name. Says
// nothing about whether loaders would take the checkpoint.
#pragma once

#include <string>

#include "base/listener.h"
#include "base/result.h"
#include "os/output.h"
#include "verify/verify.h"

namespace slim {

struct ManifestOptions {
  std::string file = {};  // empty: DefaultManifestPath()
  bool sha256 = false;    // write: of every file, too; check: where the manifest has them
  bool strict = false;
  int threads = 1;
};

struct ManifestSummary {
  std::string path;      // the checkpoint
  std::string manifest;  // the file
  uint64_t files = 0;
  uint64_t tensors = 0;
  uint64_t bytes = 0;  // of the files
};

// Refuses a .safetensors or .gguf file whose header is unsound, and a manifest that exists unless
// write.force. A journal beside the manifest lets a killed run go on.
Result<ManifestSummary> WriteManifest(const std::string& path, const ManifestOptions& options,
                                      const OutputOptions& write, Listener& listener);

// Findings of the rules MAN-…; report.manifest is the manifest. An error when there is no manifest,
// or it is none.
Result<VerifyReport> CheckManifest(const std::string& path, const ManifestOptions& options,
                                   Listener& listener);

}  // namespace slim

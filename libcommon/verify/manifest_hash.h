// Digests of the files of a checkpoint, on all threads, as fast as memory gives them; a journal
// lets a run that was killed go on. Knows nothing of a manifest it could compare with.
#pragma once

#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "verify/manifest.h"

namespace slim {

struct HashOptions {
  bool sha256 = false;       // of every file, too
  bool whole_files = false;  // look into no file: one digest each
  int threads = 1;
  std::string journal = {};  // file that keeps what is done until all is; empty: none
};

// What could be read: `file` when it was, else why not (a .safetensors file with a bad header, the
// end of a file before its time).
struct HashedFile {
  ManifestFile file;
  Status problem;
};

// The files `names` of the checkpoint at `path`, in that order; the result does not depend on
// threads. An error only for what the system refuses and for an interrupt; the journal stays then.
Result<std::vector<HashedFile>> HashFiles(const std::string& path,
                                          const std::vector<CheckpointFile>& files,
                                          const HashOptions& options, Listener& listener);

}  // namespace slim

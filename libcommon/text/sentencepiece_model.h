// tokenizer.model, the file of the sentencepiece library, as the tokenizer.json that says the same.
// Owns the reading of the protobuf (sentencepiece_model.proto: pieces, trainer_spec,
// normalizer_spec) and the rules by which transformers turns a BPE model with byte fallback into
// merges (Llama 2, Mistral, CodeLlama). Refuses by name what has no such form here: unigram models,
// normalization tables, removal of extra white space.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace slim {

// `tokenizer_config`: content of tokenizer_config.json, or empty: add_bos_token (default true) and
// add_eos_token (default false). The result is a text for Tokenizer::FromJson. Errors: SPM-format
// (no such protobuf, with the byte), SPM-unsupported, JSON-….
Result<std::string> TokenizerJsonOfSentencePiece(std::string_view model,
                                                 std::string_view tokenizer_config);

}  // namespace slim

// tokenizer.model, the file of the sentencepiece library, as the tokenizer.json that says the same.
// Owns the rules by which transformers turns a BPE model with byte fallback into merges (Llama 2,
// Mistral, CodeLlama). Of a unigram model it gives the vocabulary, the special pieces and the
// decoder; text/sentencepiece_normalizer.h and text/unigram.h cut its texts. Refuses by name what
// has no such form here: word and character models, and of BPE normalization tables and the removal
// of extra white space.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "text/sentencepiece_proto.h"

namespace slim {

// `tokenizer_config`: content of tokenizer_config.json, or empty: add_bos_token (default true) and
// add_eos_token (default false). The result is a text for Tokenizer::FromJson. Errors: SPM-format,
// SPM-unsupported, JSON-….
Result<std::string> TokenizerJsonOfSentencePiece(const SentencePieceProto& model,
                                                 std::string_view tokenizer_config);

}  // namespace slim

#include "parts.h"

#include "checkpoint/dialects/mindie_parts.h"
#include "convert/parts.h"

namespace slim {

bool IsOfParts(const ConvertRequest& request) {
  return request.options.to == Dialect::kMindIEParts || HasParts(request.input);
}

Result<ConvertPlan> ConvertParts(const ConvertRequest& request, ThreadPool& pool,
                                 Listener& listener) {
  PartsOptions options;
  options.ranks = request.ranks;
  options.to = request.options.to;
  options.to_fp16 = request.options.dtype == DType::kF16;
  options.allow_loss = request.options.allow_loss;
  options.keep_extra = request.options.keep_extra;
  options.plan_only = request.plan;
  options.max_memory = request.options.max_memory;
  options.part_size = request.options.part_size;
  const bool from = HasParts(request.input);
  if (!from && request.options.part_size > 0) {
    return UsageError("--part-size does not go with --to mindie-parts",
                      "MindIE reads one file a rank: more ranks (--tp) make smaller ones");
  }
  if (request.options.loader) {
    return UsageError("--for does not go with mindie-parts",
                      "repair first, then --to mindie-parts; or parts to ascendv1-v0, then --for");
  }
  if (!from && request.options.dtype == DType::kBF16)
    return UsageError("--dtype bf16: MindIE loads compressed weights of float16 models only");
  if (from && FindEdge(Dialect::kMindIEParts, request.options.to) == nullptr)
    return NoEdge(Dialect::kMindIEParts, request.options.to);
  if (from && request.options.dtype) {
    return UsageError("--dtype does not go with parts as input",
                      "convert to ascendv1-v0 first, then with --dtype");
  }
  return from ? ConvertFromParts(request.input, request.output, options, request.output_options,
                                 pool, listener)
              : ConvertToParts(request.input, request.output, options, request.output_options, pool,
                               listener);
}

}  // namespace slim

// Any bytes as the body of a request to slim-run --serve; the first byte chooses the endpoint. What
// is accepted keeps to the limits of one request.
#include "serve/request.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slim::InputReader input(data, size);
  const auto endpoint = input.Choice(2) == 0 ? slim::Endpoint::kCompletions : slim::Endpoint::kChat;
  const auto request = slim::ParseApiRequest(endpoint, input.Rest());
  if (!request.ok()) FUZZ_CHECK(!request.error().rule.empty());
  return 0;
}

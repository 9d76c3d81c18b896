// The service and its scheduler without HTTP, on several threads.
#include "serve/service.h"

#include <gtest/gtest.h>

#include <thread>

#include "run/loaded.h"
#include "serve/api_error.h"

namespace slim {
namespace {

class ServiceTest : public ::testing::Test {
 protected:
  void Start(uint64_t max_sequences) {
    auto loaded = LoadAll(kModels + "tiny-qwen2", Backend::kFast, pool_);
    ASSERT_TRUE(loaded.ok()) << loaded.error().ToString();
    loaded_.emplace(std::move(*loaded));
    ServiceOptions options;
    options.model_name = "tiny";
    options.context = 128;
    options.limits.max_sequences = max_sequences;
    service_.emplace(loaded_->model, loaded_->text, options);
    computing_ = std::thread([this] { service_->scheduler().Run(); });
  }
  void TearDown() override {
    if (!computing_.joinable()) return;
    service_->scheduler().Stop();
    computing_.join();
  }

  // The answer's body without id and time.
  std::string Ask(const std::string& body) {
    auto begun = service_->Begin(Endpoint::kCompletions, body);
    if (!begun.ok()) return begun.error().ToString();
    while (!begun->stream->done()) {
      auto piece = begun->stream->Next(std::chrono::milliseconds(50));
      if (!piece.ok()) return piece.error().ToString();
      if (*piece) begun->writer.Add(std::move(**piece));
    }
    return DumpJson(*begun->writer.Body(begun->stream->usage()).Find("choices"));
  }

  ThreadPool pool_{2};
  std::optional<Loaded> loaded_;
  std::optional<Service> service_;
  std::thread computing_;
};

TEST_F(ServiceTest, ManyAtOnceGetWhatEachGetsAlone) {
  Start(3);
  std::vector<std::string> bodies;
  for (int i = 0; i < 6; ++i) {
    bodies.push_back(R"({"prompt": "Number )" + std::to_string(i) +
                     R"( is", "max_tokens": 12, "n": 2, "seed": 4, "logprobs": 1, "stop": "the"})");
  }
  std::vector<std::string> wanted;
  for (const std::string& body : bodies) wanted.push_back(Ask(body));
  std::vector<std::string> found(bodies.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < bodies.size(); ++i)
    threads.emplace_back([&, i] { found[i] = Ask(bodies[i]); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(found, wanted);
  EXPECT_NE(wanted[0], wanted[1]);
}

TEST_F(ServiceTest, CancelledRequestsLeaveRoom) {
  Start(1);
  auto begun = service_->Begin(Endpoint::kCompletions,
                               R"({"prompt": "x", "max_tokens": 100, "ignore_eos": true})");
  ASSERT_TRUE(begun.ok());
  begun->stream->Cancel();
  EXPECT_EQ(Ask(R"({"prompt": "x", "max_tokens": 1, "temperature": 0})").front(), '[');
  EXPECT_EQ(service_->metrics().cancelled, 1U);
}

TEST_F(ServiceTest, NothingIsTakenAfterStop) {
  Start(1);
  service_->scheduler().Stop();
  const std::string answer = Ask(R"({"prompt": "x"})");
  EXPECT_NE(answer.find("API-shutdown"), std::string::npos) << answer;
}

TEST(ApiError, RulesDecideStatuses) {
  EXPECT_EQ(ToApiError(InputError("API-model", "m")).status, 404);
  EXPECT_EQ(ToApiError(InputError("API-busy", "m")).status, 429);
  EXPECT_EQ(ToApiError(InputError("TOK-utf8", "m")).status, 400);
  EXPECT_EQ(ToApiError(InputError("RUN-not-finite", "m")).status, 500);
  EXPECT_EQ(ToApiError(InternalError("m")).status, 500);
  EXPECT_EQ(
      DumpJson(ToApiError(MemberError("API-member", "n", "is odd")).ToJson()),
      R"({"error": {"message": "is odd", "type": "invalid_request_error", "param": "n", "code": null}})");
}

TEST(ApiRequest, NullIsAsGoodAsNothingAndATypoIsNot) {
  const auto parsed =
      ParseApiRequest(Endpoint::kCompletions, R"({"prompt": "x", "n": null, "stop": null})");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->choices, 1U);
  EXPECT_EQ(parsed->sampling.temperature, 1);
  const auto typo = ParseApiRequest(Endpoint::kCompletions, R"({"prompt": "x", "sed": 1})");
  ASSERT_FALSE(typo.ok());
  EXPECT_EQ(typo.error().hint, "did you mean 'seed'?");
}

TEST(Metrics, AreTextOfPrometheus) {
  Metrics metrics;
  metrics.CountAnswer("/v1/models", 200);
  metrics.first_token.Add(0.2);
  const std::string text = metrics.Text("a\"b");
  EXPECT_NE(text.find("slim_model_info{model=\"a\\\"b\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("slim_time_to_first_token_seconds_bucket{le=\"0.25\"} 1\n"),
            std::string::npos);
  EXPECT_NE(text.find("slim_http_responses_total{path=\"/v1/models\",status=\"200\"} 1\n"),
            std::string::npos);
}

}  // namespace
}  // namespace slim

#include "report/run_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace slim {
namespace {

using Cells = std::array<std::string, 7>;
constexpr size_t kFirstNumber = 4;  // from here on columns are numbers

Cells BenchHeader() { return {"model", "size", "backend", "isa", "threads", "test", "tokens/s"}; }

Cells BenchCells(const BenchSubject& subject, const BenchRow& row) {
  return {subject.type,
          HumanSize(subject.bytes),
          subject.backend,
          subject.isa,
          fmt::format("{}", subject.threads),
          row.test,
          fmt::format("{:.2f} ± {:.2f}", row.Mean(), row.StandardDeviation())};
}

std::string AlignedTable(const std::vector<Cells>& rows, bool markdown) {
  Cells header = BenchHeader();
  std::array<size_t, header.size()> widths{};
  const auto columns = [](const std::string& text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  };
  const auto line = [&](const Cells& cells) {
    std::string out = markdown ? "|" : "";
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string space(widths[i] - columns(cells[i]), ' ');
      const std::string cell = i >= kFirstNumber ? space + cells[i] : cells[i] + space;
      out += markdown ? fmt::format(" {} |", cell) : (i > 0 ? "  " : "") + cell;
    }
    return out + "\n";
  };
  for (size_t i = 0; i < header.size(); ++i) {
    widths[i] = columns(header[i]);
    for (const Cells& row : rows) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::string out = line(header);
  if (markdown) {
    out += "|";
    for (size_t i = 0; i < header.size(); ++i)
      out += fmt::format(" {}{} |", std::string(widths[i] - 1, '-'), i >= kFirstNumber ? ':' : '-');
    out += "\n";
  }
  for (const Cells& row : rows) out += line(row);
  return out;
}

std::string Csv(const BenchSubject& subject, const std::vector<BenchRow>& rows) {
  std::string out = "model,type,bytes,backend,isa,threads,test,tokens,mean,standard_deviation\n";
  const auto quoted = [](const std::string& text) {
    std::string result = "\"";
    for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
    return result + "\"";
  };
  for (const BenchRow& row : rows) {
    out += fmt::format("{},{},{},{},{},{},{},{},{:.4f},{:.4f}\n", quoted(subject.model),
                       quoted(subject.type), subject.bytes, subject.backend, subject.isa,
                       subject.threads, row.test, row.tokens, row.Mean(), row.StandardDeviation());
  }
  return out;
}

Json BenchJson(const BenchSubject& subject, const std::vector<BenchRow>& rows) {
  Json json = Json::Object();
  json.Set("model", subject.model);
  json.Set("type", subject.type);
  json.Set("bytes", subject.bytes);
  json.Set("backend", subject.backend);
  json.Set("isa", subject.isa);
  json.Set("threads", subject.threads);
  Json tests = Json::Array();
  for (const BenchRow& row : rows) {
    Json test = Json::Object();
    test.Set("test", row.test);
    test.Set("tokens", row.tokens);
    test.Set("tokens_per_second", Json::Real(row.Mean()));
    test.Set("standard_deviation", Json::Real(row.StandardDeviation()));
    Json samples = Json::Array();
    for (const double value : row.tokens_per_second) samples.Push(Json::Real(value));
    test.Set("samples", std::move(samples));
    tests.Push(std::move(test));
  }
  json.Set("tests", std::move(tests));
  return json;
}

}  // namespace

Json AnswerJson(const Answer& answer) {
  Json json = Json::Object();
  json.Set("text", answer.text);
  Json ids = Json::Array();
  for (const int32_t id : answer.token_ids) ids.Push(id);
  json.Set("token_ids", std::move(ids));
  json.Set("finish_reason", FinishReasonName(answer.finish_reason));
  json.Set("prompt_tokens", answer.prompt_tokens);
  if (answer.expectation_met) json.Set("expectation_met", *answer.expectation_met);
  return json;
}

Json PerplexityJson(const Perplexity& result, const PerplexityOptions& options) {
  Json json = Json::Object();
  json.Set("perplexity", Json::Real(result.perplexity));
  json.Set("mean_nll", Json::Real(result.mean_nll));
  json.Set("standard_error", Json::Real(result.standard_error));
  json.Set("windows", result.windows);
  json.Set("window_tokens", options.window);
  json.Set("scored_tokens", result.scored_tokens);
  return json;
}

std::string PerplexityText(const Perplexity& result, const PerplexityOptions& options) {
  return fmt::format(
      "perplexity {:.4f} ({:.5f} ± {:.5f} nats a token, {} tokens scored in {} windows of {})\n",
      result.perplexity, result.mean_nll, result.standard_error, result.scored_tokens,
      result.windows, options.window);
}

Json ChoicesJson(const ChoicesResult& result) {
  Json json = Json::Object();
  json.Set("questions", result.accuracy.count);
  const auto set = [&](const std::string& name, const Proportion& proportion) {
    json.Set(name, Json::Real(proportion.Value()));
    json.Set(name + "_standard_error", Json::Real(proportion.StandardError()));
    json.Set(name + "_hits", proportion.hits);
  };
  set("accuracy", result.accuracy);
  set("normalized_accuracy", result.normalized);
  Json items = Json::Array();
  for (const ScoredQuestion& question : result.questions) {
    Json item = Json::Object();
    item.Set("line", question.line);
    item.Set("label", question.label);
    item.Set("choice", question.best);
    item.Set("normalized_choice", question.best_normalized);
    Json sums = Json::Array();
    for (const double sum : question.log_likelihoods) sums.Push(Json::Real(sum));
    item.Set("log_likelihoods", std::move(sums));
    items.Push(std::move(item));
  }
  json.Set("items", std::move(items));
  return json;
}

std::string ChoicesText(const ChoicesResult& result) {
  const auto line = [](std::string_view name, const Proportion& proportion) {
    return fmt::format("{:<22} {:.4f} ± {:.4f}  ({} of {})\n", name, proportion.Value(),
                       proportion.StandardError(), proportion.hits, proportion.count);
  };
  return line("accuracy", result.accuracy) + line("accuracy, normalized", result.normalized);
}

std::string BenchReport(const BenchSubject& subject, const std::vector<BenchRow>& rows,
                        TableFormat format) {
  if (format == TableFormat::kJson)
    return DumpJson(BenchJson(subject, rows), {.indent = 2, .ensure_ascii = false}) + "\n";
  if (format == TableFormat::kCsv) return Csv(subject, rows);
  std::vector<Cells> table;
  for (const BenchRow& row : rows) table.push_back(BenchCells(subject, row));
  return AlignedTable(table, format == TableFormat::kMarkdown);
}

}  // namespace slim

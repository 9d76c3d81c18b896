#include "text/choice_questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "json/json.h"
#include "text/calibration_folder.h"

namespace slim {
namespace {

constexpr std::string_view kForms =
    "a line has inputs_pretokenized, choices_pretokenized and label; or question, passage and "
    "answer; or question, A, B, … and answer; or prompt, choices and answer";

Error Wrong(std::string_view what) {
  return InputError("CHOICES-line", std::string(what), std::string(kForms));
}

const Json* FirstOf(const Json& object, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const Json* value = object.Find(name); value != nullptr && !value->is_null()) return value;
  }
  return nullptr;
}

Result<std::vector<std::string>> Texts(const Json& list) {
  std::vector<std::string> texts;
  for (const Json& item : list.items()) {
    if (!item.is_string()) return Wrong("a choice is no text");
    texts.push_back(item.text());
  }
  if (texts.size() < 2)
    return Wrong(fmt::format("has {} choices, at least 2 are wanted", texts.size()));
  return texts;
}

// A number from 0, a letter from A, or the text of a choice.
Result<uint64_t> LabelOf(const Json& value, const std::vector<std::string>& choices) {
  const auto found = std::find_if(choices.begin(), choices.end(), [&](const std::string& choice) {
    return value.is_string() && Trim(choice) == Trim(value.text());
  });
  if (found != choices.end()) return static_cast<uint64_t>(found - choices.begin());
  std::string_view text = Trim(value.text());
  int64_t index = -1;
  if (value.is_string() && text.size() == 1 && text[0] >= 'A' && text[0] <= 'Z') {
    index = text[0] - 'A';
  } else if (value.is_string() || value.kind() == Json::Kind::kInteger) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error != std::errc() || end != text.data() + text.size()) index = -1;
  }
  if (index >= 0 && static_cast<uint64_t>(index) < choices.size())
    return static_cast<uint64_t>(index);
  return Wrong(fmt::format(
      "the answer {} is none of the {} choices",
      value.text().empty() ? std::string(value.KindName()) : Quote(value.text()), choices.size()));
}

bool HasChinese(std::string_view text) {
  // U+4E00 to U+9FFF: E4 B8 80 to E9 BF BF.
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0xE4 && byte <= 0xE9;
  });
}

Result<ChoiceQuestion> BooleanQuestion(const Json& question, const Json& passage, bool answer) {
  ChoiceQuestion result;
  result.text = fmt::format("{}\nQuestion: {}?\nAnswer:", passage.text(), question.text());
  result.choices = {" no", " yes"};
  result.label = answer ? 1 : 0;
  return result;
}

Result<ChoiceQuestion> LetteredQuestion(const Json& object, const Json& question,
                                        const Json& answer) {
  ChoiceQuestion result;
  result.text = std::string(Trim(question.text()));
  const bool chinese = HasChinese(result.text);
  std::vector<std::string> letters;
  for (char letter = 'A'; letter <= 'Z'; ++letter) {
    const std::string name(1, letter);
    const Json* choice = object.Find(name);
    if (choice == nullptr || choice->is_null()) break;
    result.text += fmt::format("\n{}. {}", name, choice->text());
    letters.push_back(name);
  }
  if (letters.size() < 2) return Wrong("has fewer than 2 choices");
  result.text += chinese ? "\n答案：" : "\nAnswer:";
  SLIM_ASSIGN(result.label, LabelOf(answer, letters));
  for (const std::string& letter : letters) result.choices.push_back((chinese ? "" : " ") + letter);
  return result;
}

Result<ChoiceQuestion> ListedQuestion(const Json& object, const Json& choices) {
  const Json* text = FirstOf(object, {"prompt", "context", "question", "query"});
  const Json* label = FirstOf(object, {"label", "answer", "gold"});
  if (text == nullptr || !text->is_string())
    return Wrong("has no 'prompt', 'context' or 'question'");
  if (label == nullptr) return Wrong("has no 'label', 'answer' or 'gold'");
  ChoiceQuestion result;
  result.text = text->text();
  SLIM_ASSIGN(result.choices, Texts(choices));
  SLIM_ASSIGN(result.label, LabelOf(*label, result.choices));
  const auto space = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
  if (result.text.empty() || space(result.text.back())) return result;
  for (std::string& choice : result.choices) {
    if (choice.empty() || !space(choice.front())) choice.insert(choice.begin(), ' ');
  }
  return result;
}

Result<ChoiceQuestion> QuestionOf(const Json& object) {
  if (!object.is_object())
    return Wrong(fmt::format("is a JSON {}, wanted an object", object.KindName()));
  const Json* pretokenized = object.Find("choices_pretokenized");
  if (pretokenized != nullptr) {
    const Json* text = object.Find("inputs_pretokenized");
    const Json* label = object.Find("label");
    if (text == nullptr || !text->is_string() || label == nullptr)
      return Wrong("has no 'inputs_pretokenized' or no 'label'");
    ChoiceQuestion result;
    result.text = text->text();
    SLIM_ASSIGN(result.choices, Texts(*pretokenized));
    SLIM_ASSIGN(result.label, LabelOf(*label, result.choices));
    return result;
  }
  if (const Json* choices = object.Find("choices"); choices != nullptr && choices->is_array())
    return ListedQuestion(object, *choices);
  const Json* question = object.Find("question");
  const Json* answer = FirstOf(object, {"answer", "label"});
  if (question == nullptr || !question->is_string()) return Wrong("has no question with choices");
  if (answer == nullptr) return Wrong("has no 'answer'");
  const Json* passage = object.Find("passage");
  if (passage != nullptr && answer->AsBool())
    return BooleanQuestion(*question, *passage, *answer->AsBool());
  if (passage != nullptr && answer->AsInteger())
    return BooleanQuestion(*question, *passage, *answer->AsInteger() != 0);
  return LetteredQuestion(object, *question, *answer);
}

Status AddQuestion(const Json& object, uint64_t line, std::string_view path,
                   std::vector<ChoiceQuestion>& questions) {
  auto question = QuestionOf(object);
  if (!question.ok()) {
    Error error = std::move(question).error();
    error.message = fmt::format("line {}: {}", line, error.message);
    return std::move(error).WithPath(path);
  }
  question->line = line;
  questions.push_back(std::move(*question));
  return {};
}

Status AddRows(std::string_view content, std::string_view path,
               std::vector<ChoiceQuestion>& questions) {
  auto rows = ParseCsv(content);
  if (!rows.ok()) return std::move(rows).error().WithPath(path);
  for (size_t i = 1; i < rows->size(); ++i) {
    const CsvRow& row = (*rows)[i];
    Json object = Json::Object();
    const std::vector<std::string>& names = rows->front().fields;
    for (size_t j = 0; j < std::min(names.size(), row.fields.size()); ++j)
      object.Set(names[j], row.fields[j]);
    SLIM_TRY(AddQuestion(object, row.line, path, questions));
  }
  return {};
}

}  // namespace

Result<std::vector<ChoiceQuestion>> ParseChoiceQuestions(std::string_view content,
                                                         std::string_view path) {
  std::vector<ChoiceQuestion> questions;
  if (!IsUtf8(content))
    return InputError("CHOICES-utf8", "is not UTF-8 text", "convert it with iconv").WithPath(path);
  if (content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
  if (path.ends_with(".csv")) {
    SLIM_TRY(AddRows(content, path, questions));
  } else {
    uint64_t line = 0;
    for (const std::string& text : Split(content, '\n')) {
      ++line;
      if (Trim(text).empty()) continue;
      auto json = ParseJson(Trim(text));
      if (!json.ok()) {
        return InputError("CHOICES-line", fmt::format("line {}: {}", line, json.error().message),
                          "every line is a JSON object")
            .WithPath(path);
      }
      SLIM_TRY(AddQuestion(*json, line, path, questions));
    }
  }
  if (questions.empty()) return InputError("CHOICES-empty", "has no question").WithPath(path);
  return questions;
}

}  // namespace slim

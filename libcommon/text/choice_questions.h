// Multiple-choice questions of the files that people measure accuracy with. Owns the forms; knows
// nothing of tokens. One JSON object a line (.jsonl), or the rows of a CSV file with a header
// (C-Eval). A question's form is told by its members, the first that fits:
//
// * `inputs_pretokenized`, `choices_pretokenized` and `label`, a number from 0: msModelSlim's and
//   GLM's files. The choices follow the text as they are.
// * `question`, `passage` and `answer`, true or false: BoolQ. "PASSAGE\nQuestion: QUESTION?\n
//   Answer:", then " no" or " yes".
// * `question`, `A`, `B`, … and `answer`, a letter: C-Eval, MMLU. The question and the choices a
//   line each, then "答案：" where the question has a Chinese character, else "Answer:" and a
//   space, then the letter.
// * `prompt`, `context` or `question`, `choices`, and `label`, `answer` or `gold`: a number from 0,
//   a letter, or a choice. A choice follows after one space, unless one of the two has a space or a
//   line break there.
//
// The first two and the last are as in lm-evaluation-harness (boolq, ceval, multiple_choice).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

struct ChoiceQuestion {
  uint64_t line = 1;  // where it begins
  std::string text;
  std::vector<std::string> choices;  // at least 2; what follows the text
  uint64_t label = 0;                // index of the right one
};

// `path` decides the form by its extension (.csv, else JSON lines) and appears in errors.
// CHOICES-line names the line and what it lacks; CHOICES-empty when there is no question.
Result<std::vector<ChoiceQuestion>> ParseChoiceQuestions(std::string_view content,
                                                         std::string_view path);

}  // namespace slim

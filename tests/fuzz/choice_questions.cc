// Any text as multiple-choice questions; the first byte chooses the form. Each that is accepted has
// a right choice.
#include "text/choice_questions.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slim::InputReader input(data, size);
  const char* path = input.Choice(2) == 0 ? "fuzz.jsonl" : "fuzz.csv";
  const auto questions = slim::ParseChoiceQuestions(input.Rest(), path);
  if (!questions.ok()) {
    FUZZ_CHECK(!questions.error().rule.empty());
    return 0;
  }
  FUZZ_CHECK(!questions->empty());
  for (const slim::ChoiceQuestion& question : *questions)
    FUZZ_CHECK(question.choices.size() >= 2 && question.label < question.choices.size());
  return 0;
}

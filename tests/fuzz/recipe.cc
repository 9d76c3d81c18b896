// Any text as a recipe: refused in one line or understood.
#include "quant/recipe_yaml.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto recipe = slim::ParseRecipe(slim::InputText(data, size), "fuzz");
  if (!recipe.ok()) FUZZ_CHECK(recipe.error().ToString().find('\n') == std::string::npos);
  return 0;
}

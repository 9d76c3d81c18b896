// A recipe read from disk, and the calibration texts it names found: recipes of msModelSlim name
// files of its own package, which a user of slim need not have.
#pragma once

#include <string>

#include "base/listener.h"
#include "base/result.h"
#include "quant/recipe_yaml.h"

namespace slim {

Result<RecipeFile> ReadRecipeFile(const std::string& path);

// Turns `dataset` of the recipe and of its prior passes into paths: as written, else beside the
// recipe. A bare name that is at neither place ("mix_calib.jsonl") becomes the set that ships, with
// a note; a missing path with a folder in it is an error (IN-missing).
Status ResolveDatasets(const std::string& recipe_path, Recipe& recipe, Listener& listener);

}  // namespace slim

#pragma once

#include "weir/body.hpp"
#include "weir/chunk.hpp"
#include "weir/error.hpp"
#include "weir/fetch.hpp"
#include "weir/generator.hpp"
#include "weir/headers.hpp"
#include "weir/reader.hpp"
#include "weir/sse.hpp"
#include "weir/trace.hpp"

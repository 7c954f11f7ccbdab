/* SPDX-License-Identifier: MIT */

/* What docs/guide.md quotes: a fenced block "c NAME" stands in docs/examples/NAME.c,
 * and a block "text NAME" in NAME.out, line by line, whatever the indentation. */

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"

#define TEXT_MAX 65536

/* The file without the indentation of its lines and after an empty first line, so that
 * what is searched for can begin with the end of a line. NULL: there is none. */
static char *read_unindented(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = malloc(TEXT_MAX + 2), line[512];
    size_t length = 1;

    if (!file || !text) {
        if (file)
            fclose(file);
        free(text);
        return NULL;
    }
    strcpy(text, "\n");
    while (fgets(line, sizeof line, file) && length + sizeof line < TEXT_MAX) {
        const char *start = line + strspn(line, " ");
        strcpy(text + length, start);
        length += strlen(start);
    }
    CHECK(feof(file));
    fclose(file);
    return text;
}

/* A block stands in its file. [block] begins and ends with the end of a line. */
static void check_block(const char *language, const char *name, const char *block)
{
    char path[128];

    snprintf(path, sizeof path, "docs/examples/%s.%s", name,
        strcmp(language, "c") == 0 ? "c" : "out");
    char *text = read_unindented(path);
    if (!CHECK(text) || !CHECK(strstr(text, block)))
        fprintf(stderr, "docs/guide.md quotes what isn't in %s:%s", path, block);
    free(text);
}

/* Checks each block of the guide that names an example. Returns how many there are. */
static int check_blocks(char *guide)
{
    char language[16], name[64];
    char *fence = guide;
    int blocks = 0;

    while ((fence = strstr(fence, "\n```"))) {
        char *block = strchr(fence + 1, '\n');
        char *end = block ? strstr(block, "\n```") : NULL;
        if (!CHECK(end != NULL))
            break;
        *block = '\0';
        bool named = sscanf(fence + 4, "%15s %63s", language, name) == 2;
        *block = '\n';
        char after = end[1];
        end[1] = '\0';
        if (named)
            check_block(language, name, block);
        end[1] = after;
        blocks += named;
        fence = end + 4;
    }
    return blocks;
}

static void quotes_stand_in_their_examples(void)
{
    char *guide = read_unindented("docs/guide.md");

    if (CHECK(guide != NULL))
        CHECK(check_blocks(guide) > 0);
    free(guide);
}

/* Nobody finds a program that the guide doesn't speak of. */
static void every_example_is_quoted(void)
{
    char *guide = read_unindented("docs/guide.md"), quote[128];
    glob_t found;

    if (CHECK(guide != NULL) &&
        CHECK(glob("docs/examples/*.c", 0, NULL, &found) == 0)) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            const char *name = strrchr(found.gl_pathv[i], '/') + 1;
            snprintf(quote, sizeof quote, "```c %.*s\n", (int)(strlen(name) - 2), name);
            if (!CHECK(strstr(guide, quote) || strstr(guide, found.gl_pathv[i])))
                fprintf(
                    stderr, "docs/guide.md doesn't mention %s\n", found.gl_pathv[i]);
        }
        globfree(&found);
    }
    free(guide);
}

int main(void)
{
    static const struct harness_test tests[] = {
        {"quotes stand in their examples", quotes_stand_in_their_examples},
        {"every example is quoted", every_example_is_quoted},
    };

    return harness_main("guide", tests, sizeof tests / sizeof *tests);
}

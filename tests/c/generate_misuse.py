"""Prints C that calls every function of the header with what it must withstand.

For every function: NULL in each pointer position, the others valid; text that is not UTF-8; huge
text; the extremes of every integer. What may be NULL is taken from the header's own words.
Usage: header, output.
"""

import re
import sys

PROTOTYPE = re.compile(
    r"((?:^//.*\n)*)^(?:KAT_MUST_USE\s+)?((?!KAT_)\w[\w ]*[ *])(kat_\w+)\(([^)]*)\);", re.MULTILINE
)
# Handles that the program makes once; of every other type each call gets a new one.
SHARED = {
    "kat_client",
    "kat_queue",
    "kat_token_source",
    "kat_provider",
    "kat_completion",
    "kat_error",
    "kat_token",
    "kat_token_list",
    "kat_token_iter",
    "kat_session",
    "kat_session_info",
    "kat_ks_info",
    "kat_lint_list",
    "kat_response_profile",
    "kat_string",
}
FRESH = {
    "kat_config",
    "kat_token_params",
    "kat_list_params",
    "kat_session_params",
    "kat_provider_params",
    "kat_session_key",
    "kat_ks_params",
    "kat_privileges",
    "kat_cancel",
}
INTEGERS = {
    "int32_t": ["INT32_MIN", "-1", "0", "INT32_MAX"],
    "int64_t": ["INT64_MIN", "INT64_MIN + 1", "-1", "0", "INT64_MAX"],
    "uint32_t": ["0", "UINT32_MAX"],
    "uint64_t": ["0", "UINT64_MAX"],
    "size_t": ["0", "SIZE_MAX"],
}
# What NULL gives where nothing else is promised.
NOTHING = {
    "bool": "false",
    "int64_t": "KAT_ABSENT",
    "size_t": "0",
    "uint32_t": "0",
    "uint64_t": "0",
    "int32_t": "0",
}
PROMISED = {
    "kat_queue_fd": "-1",
    "kat_error_cause": "KAT_CONNECT_CAUSE_NONE",
    "kat_error_status": "KAT_STATUS_OK",
    "kat_completion_status": "KAT_STATUS_NULL_ARG",
}
# A negative time waits for ever, a buffer is as large as the caller says.
NOT_EXTREME = {("kat_queue_next", "timeout_ms"), ("kat_token_hash", "size")}


class Parameter:
    def __init__(self, text):
        match = re.fullmatch(r"(const )?(\w+) (\**)(\w+)", text.strip())
        self.const, self.type, self.stars, self.name = bool(match[1]), match[2], match[3], match[4]

    @property
    def is_text(self):
        return self.const and self.type == "char" and self.stars == "*"


class Function:
    def __init__(self, docs, result, name, parameters):
        self.docs, self.result, self.name = docs.replace("\n// ", " "), result.strip(), name
        if result.endswith("*"):
            self.result = result.rstrip("* ") + " *"
        self.parameters = [Parameter(p) for p in parameters.split(",") if p.strip() != "void"]

    def may_be_null(self, parameter, all_docs):
        docs = self.docs + all_docs.get(self.name.removesuffix("_submit"), "")
        if parameter.name == "err" or re.search(rf"\b{parameter.name}(, which)? may be NULL", docs):
            return True
        return parameter is not self.parameters[0] and "NULL: unset" in docs

    def absent(self):
        if self.name in PROMISED:
            return PROMISED[self.name]
        if self.result == "kat_status":
            return "KAT_STATUS_NULL_ARG"
        return "NULL" if self.result.endswith("*") else NOTHING[self.result]

    def call(self, replaced):
        """A call, some parameters replaced: declarations, the call, what frees the results."""
        before, arguments, after = [], [], []
        for index, parameter in enumerate(self.parameters):
            place = f"a{index}"
            if index in replaced:
                arguments.append(replaced[index])
            elif parameter.stars == "**":
                before.append(f"{parameter.type} *{place} = NULL;")
                arguments.append(f"&{place}")
                after.append(f"{parameter.type}_free({place});")
            elif parameter.is_text:
                arguments.append('"MD5"' if parameter.name == "hash_type" else '"x"')
            elif parameter.type == "char":
                arguments.append("buffer")
            elif parameter.type in SHARED:
                arguments.append(f"shared.{parameter.type.removeprefix('kat_')}")
            elif parameter.type in FRESH:
                before.append(f"{parameter.type} *{place} = {parameter.type}_new();")
                arguments.append(place)
                after.append(f"{parameter.type}_free({place});")
            elif parameter.stars == "*":
                before.append(f"{parameter.type} {place} = 0;")
                arguments.append(f"&{place}")
            elif parameter.name == "size":
                arguments.append("sizeof buffer")
            else:
                arguments.append("1")
        return before, f"{self.name}({', '.join(arguments)})", after

    def case(self, replaced, check):
        before, call, after = self.call(replaced)
        if self.result == "void":
            return f"    {{ {' '.join(before)} {call}; {' '.join(after)} }}"
        const = (
            "const " if self.result.endswith("*") and not self.result.startswith("const") else ""
        )
        return (
            f"    {{ {' '.join(before)} {const}{self.result} r = {call}; "
            f'expect({check}, "{self.name}"); {" ".join(after)} }}'
        )

    def cases(self, all_docs):
        is_status = self.result == "kat_status"
        for index, parameter in enumerate(self.parameters):
            if parameter.stars:
                nullable = self.may_be_null(parameter, all_docs)
                if is_status and self.name not in PROMISED:
                    refused = (
                        "r != KAT_STATUS_NULL_ARG && r != KAT_STATUS_PANIC"
                        if nullable
                        else "r == KAT_STATUS_NULL_ARG"
                    )
                    yield self.case({index: "NULL"}, refused)
                elif not nullable:
                    yield self.case(
                        {index: "NULL"}, "" if self.result == "void" else f"r == {self.absent()}"
                    )
            if parameter.is_text and is_status:
                yield self.case({index: '"\\xff\\xfe"'}, "r == KAT_STATUS_INVALID_ARG")
                yield self.case({index: "huge"}, "r != KAT_STATUS_PANIC")
            if not parameter.stars and (self.name, parameter.name) not in NOT_EXTREME:
                for extreme in INTEGERS.get(parameter.type, []):
                    check = "r != KAT_STATUS_PANIC" if is_status else "((void)r, true)"
                    yield self.case({index: extreme}, check)


def main(header, output):
    with open(header, encoding="utf-8") as file:
        functions = [Function(*match) for match in PROTOTYPE.findall(file.read())]
    all_docs = {function.name: function.docs for function in functions}
    lines = ["/* Generated from the header by generate_misuse.py. */"]
    for function in functions:
        body = list(function.cases(all_docs))
        lines += [f"static void misuse_{function.name}(void) {{", *body, "}", ""]
    lines.append("static void misuse_everything(void) {")
    lines += [f"    misuse_{function.name}();" for function in functions]
    lines.append(f'    printf("%d functions\\n", {len(functions)});')
    lines.append("}")
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""How long records are kept, and by which contract policy: values in, values out, no vault and no input or output.

    periods        days, months and fiscal years after the Civil Code
    triggers       what starts a period
    roles          who may deposit and read, by name
    policy         one contract's rules as values
    policy_reader  the text of a policy file, checked, to those values

Leaves out storing, asking and destroying: that is the work of `vault/`, which knows this package and is not known here.
"""

"""What a tracker says of itself: the items of category 065.

EUROCONTROL-SPEC-0149, category 065, edition 1.6.
"""

from opencram.asterix.layout import Explicit, fixed, single
from opencram.asterix.records import Category, Item

CAT065 = Category(
    65,
    "1.6",
    "status of a tracker",
    (
        Item("010", "Data Source Identifier", fixed("SAC 8, SIC 8")),
        Item("000", "Message Type", single("8")),
        Item("015", "Service Identification", single("8")),
        Item("030", "Time of Message", single("24 1/128 s")),
        Item("020", "Batch Number", single("8")),
        Item("040", "SDPS Configuration and Status", fixed("NOGO 2, OVL, TSV, PSS 2, STTN, - 1")),
        Item("050", "Service Status Report", single("8")),
        None,
        None,
        None,
        None,
        None,
        Item("RE", "Reserved Expansion Field", Explicit()),
        Item("SP", "Special Purpose Field", Explicit()),
    ),
)

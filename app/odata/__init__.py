"""OData v4 over the analytics views: read-only, JSON, for Excel, Power BI and programs.

Facts: OASIS OData 4.01 parts 1 and 2 (protocol, URL conventions), OData JSON format 4.01, CSDL XML 4.01.
"""

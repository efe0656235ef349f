"""A Swift package registry (SE-0292) as a folder of files that a web server only has to hand out.

scope/name/releases.json                         the list, made anew from the folders beside it
scope/name/1.4.0/{release.json, source-archive.zip, Package.swift, Package@swift-6.0.swift}
nginx.conf                                       which file answers which request, and with what headers
"""
